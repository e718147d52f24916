import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type JsonValue,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { isJsonObject, type MessageJson } from "../json/message-json.js";
import { parseJson } from "../json/parse-json.js";
import { type HttpBody, HttpBodySchema } from "../protos.js";
import { bodyNotJson, invalidValue, malformedUrl, unboundParameter } from "./errors.js";
import { fieldAt, isLeaf, isSingular, protoPath, setFromText, typeOf } from "./field-path.js";
import type { BoundVariable, HttpBinding } from "./http-rules.js";
import { percentDecode, percentDecodeReserved } from "./percent-encoding.js";
import { assertJsonType } from "./request-body.js";
import type { QueryParameter } from "./url-parts.js";

/** What a request says, apart from what its path does. */
export interface RequestContent {
  /** Of the path, raw. */
  readonly segments: readonly string[];
  /** Without system parameters. */
  readonly query: readonly QueryParameter[];
  /** Empty where there is none. */
  readonly body: Uint8Array;
  /** Null where there is none. */
  readonly contentType: string | null;
}

/**
 * The request message that an HTTP request stands for, in binary: what the body says, then the
 * query, then the path, which wins.
 *
 * A singular field that the query gives twice has its first value.
 *
 * @throws ConnectError 400 for what does not fit, 415 for a body of another type than JSON.
 */
export function requestBytesOf(
  binding: HttpBinding,
  content: RequestContent,
  json: MessageJson,
): Uint8Array {
  const desc = binding.method.input;
  const message = readContent(binding, content, json);
  for (const [fields, value] of queryFieldsOf(binding, content.query)) {
    setFromText(desc, message, fields, value);
  }
  for (const variable of binding.variables) {
    setFromText(desc, message, variable.fields, pathValue(variable, content.segments));
  }
  const bytes = toBinary(desc, message);
  if (content.body.length > 0) assertShallow(desc, bytes);
  return bytes;
}

/** A level of JSON in a Struct is three in binary, which has a limit of its own. */
function assertShallow(desc: DescMessage, bytes: Uint8Array): void {
  try {
    fromBinary(desc, bytes);
  } catch {
    throw bodyNotJson("nests too deep");
  }
}

/** The message with what the body says in it. */
function readContent(
  { body: bound, method }: HttpBinding,
  { body, contentType }: RequestContent,
  json: MessageJson,
): Message {
  const desc = method.input;
  if (bound === "none") return create(desc);
  const raw = bound === "all" ? desc : bound.fieldKind === "message" ? bound.message : undefined;
  if (raw !== undefined && isHttpBody(raw)) {
    const httpBody = create(HttpBodySchema, {
      contentType: contentType ?? "",
      data: body,
    });
    return bound === "all" ? httpBody : withField(desc, bound, httpBody);
  }
  // api_core cancels so: with a JSON content type and nothing in it.
  if (body.length === 0) return create(desc);
  assertJsonType(contentType);
  const parsed = parseJson(body, bodyNotJson);
  if (bound === "all" && !isJsonObject(parsed)) throw bodyNotJson("is no JSON object");
  const whole = bound === "all" ? parsed : { [bound.jsonName]: parsed };
  try {
    return json.read(desc, whole);
  } catch {
    throw valueFault(desc, whole, json);
  }
}

/** Whether a message is google.api.HttpBody: bytes with their own content type. */
export function isHttpBody(desc: DescMessage): boolean {
  return desc.typeName === HttpBodySchema.typeName;
}

function withField(desc: DescMessage, field: DescField, value: HttpBody): Message {
  const whole = reflect(desc);
  whole.set(field, reflect(HttpBodySchema, value));
  return whole.message;
}

/** The fields that a query sets, with their values; of a singular field the first. */
function queryFieldsOf(
  { method, body, variables }: HttpBinding,
  query: readonly QueryParameter[],
): [fields: readonly DescField[], value: string][] {
  const found: [readonly DescField[], string][] = [];
  const seen = new Set<string>();
  for (const [name, value] of query) {
    if (body === "all") throw unboundParameter(name, "has no place beside a body that is all");
    const fields = fieldAt(method.input, name.split("."));
    const leaf = fields?.at(-1);
    if (fields === undefined || leaf === undefined) {
      throw unboundParameter(name, `names no field of ${method.input.typeName}`);
    }
    if (!isLeaf(leaf)) throw unboundParameter(name, "names a message or a map, not one value");
    if (body !== "none" && fields[0] === body) throw unboundParameter(name, "is in the body");
    const path = protoPath(fields);
    if (variables.some((variable) => protoPath(variable.fields) === path)) {
      throw unboundParameter(name, "is in the path");
    }
    if (isSingular(leaf) && seen.has(path)) continue;
    seen.add(path);
    found.push([fields, value]);
  }
  return found;
}

function pathValue(variable: BoundVariable, segments: readonly string[]): string {
  const raw = segments.slice(variable.start, variable.end).join("/");
  const value = variable.isSingle ? percentDecode(raw) : percentDecodeReserved(raw);
  if (value === undefined) throw malformedUrl(raw);
  return value;
}

/** How deep a fault is looked for: the search reads what it looks into once more per level. */
const maxFaultDepth = 8;

/**
 * What is wrong with JSON that could not be read: the innermost field that cannot be read by itself,
 * in our words, as those of the parser are for programmers.
 */
function valueFault(desc: DescMessage, json: JsonValue, codec: MessageJson) {
  const path: string[] = [];
  let type = "";
  let value: JsonValue = json;
  let current: DescMessage | undefined = desc;
  while (current !== undefined && isJsonObject(value) && path.length < maxFaultDepth) {
    const fault = firstFault(current, value, codec);
    if (fault === undefined) break;
    path.push(fault.field.name);
    type = typeOf(fault.field);
    value = fault.value;
    current = fault.field.fieldKind === "message" ? fault.field.message : undefined;
  }
  if (path.length === 0) return bodyNotJson(`is no ${desc.typeName}`);
  return invalidValue(
    path.join("."),
    type,
    typeof value === "string" ? value : JSON.stringify(value),
  );
}

function firstFault(desc: DescMessage, json: Record<string, JsonValue>, codec: MessageJson) {
  for (const [name, value] of Object.entries(json)) {
    const field = desc.fields.find((one) => one.jsonName === name || one.name === name);
    if (field === undefined) continue;
    try {
      codec.read(desc, { [name]: value });
    } catch {
      return { field, value };
    }
  }
  return undefined;
}
