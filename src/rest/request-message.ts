import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import { findJsonFault } from "../json/json-fault.js";
import { hasOwnJson, isJsonObject, type MessageJson } from "../json/message-json.js";
import { type ExactJson, parseJson } from "../json/parse-json.js";
import { type HttpBody, HttpBodySchema } from "../protos.js";
import {
  bodyNotJson,
  invalidValue,
  malformedUrl,
  missingRequired,
  oneofConflict,
  repeatedMember,
  unboundParameter,
  unknownMember,
} from "./errors.js";
import {
  fieldAt,
  holdsWords,
  isBase64,
  isMaskPaths,
  protoPath,
  setFromText,
  type TextTarget,
  typeOf,
} from "./field-path.js";
import type { BoundVariable, HttpBinding } from "./http-rules.js";
import { percentDecode, percentDecodeReserved } from "./percent-encoding.js";
import { assertJsonType } from "./request-body.js";
import type { QueryParameter } from "./url-parts.js";

/** The parts of an HTTP request that fields come from. */
export interface RequestContent {
  /** The segments of the path, raw. */
  readonly segments: readonly string[];
  /** The query without system parameters. */
  readonly query: readonly QueryParameter[];
  /** The body; empty if the request has no body. */
  readonly body: Uint8Array;
  /** The Content-Type; null if the request has no such header. */
  readonly contentType: string | null;
}

/**
 * Returns the request message of an HTTP request: the body, then the query, then the path, which
 * wins.
 *
 * A singular field that the query gives twice has its first value.
 *
 * @throws ConnectError 400 for a value that does not fit, 415 for a body of another type than JSON.
 */
export function requestMessageOf(
  binding: HttpBinding,
  content: RequestContent,
  json: MessageJson,
): Message {
  const desc = binding.method.input;
  const message = readContent(binding, content, json);
  for (const [target, value] of queryTargetsOf(binding, content.query)) {
    setFromText(desc, message, target, value);
  }
  for (const variable of binding.variables) {
    setFromText(desc, message, variable, pathValue(variable, content.segments));
  }
  return message;
}

/**
 * Encodes a request message.
 *
 * @throws ConnectError 400 if a required field of proto2 is missing, or the message nests too deep.
 */
export function requestBytesOf(desc: DescMessage, message: Message): Uint8Array {
  const bytes = bytesOf(desc, message);
  parsed(desc, bytes);
  return bytes;
}

/** A request message as it is after it was sent in binary. */
export interface ReceivedMessage {
  readonly message: Message;
  /** The most bytes that the message has in binary. */
  readonly maxBytes: number;
}

/**
 * Returns a request message as it is after it was sent in binary. Most messages are the same then,
 * and are not encoded.
 *
 * @param contentLength The length of the path, the query and the body that the message is from.
 * @param readMaxBytes The size from which on `maxBytes` is the exact size.
 * @throws ConnectError 400 as `requestBytesOf`.
 */
export function receivedMessageOf(
  desc: DescMessage,
  message: Message,
  contentLength: number,
  readMaxBytes: number,
): ReceivedMessage {
  const maxBytes = contentLength * maxGrowth;
  if (isSameInBinary(desc) && maxBytes <= readMaxBytes) return { message, maxBytes };
  const bytes = bytesOf(desc, message);
  return { message: parsed(desc, bytes), maxBytes: bytes.byteLength };
}

/**
 * Bytes of a message for each byte of JSON or of a query that it is read from, at most. The worst is
 * a list of doubles that is not packed: `0,` becomes a tag of five bytes and eight of the number.
 */
const maxGrowth = 8;

const sameInBinary = new WeakMap<DescMessage, boolean>();

/**
 * Whether all messages of a type are the same after they were sent in binary. Fields of 32-bit
 * floats are rounded, unknown values of closed enums vanish, required fields may be missing, and a
 * message that contains its own type may nest deeper than a parser permits.
 */
function isSameInBinary(desc: DescMessage): boolean {
  let isSame = sameInBinary.get(desc);
  if (isSame === undefined) {
    isSame = isSameWithin(desc, new Set());
    sameInBinary.set(desc, isSame);
  }
  return isSame;
}

function isSameWithin(desc: DescMessage, outer: ReadonlySet<DescMessage>): boolean {
  if (outer.has(desc)) return false;
  const inner = new Set(outer).add(desc);
  return desc.fields.every(
    ({ scalar, presence, enum: enumDesc, message }) =>
      scalar !== ScalarType.FLOAT &&
      presence !== FeatureSet_FieldPresence.LEGACY_REQUIRED &&
      enumDesc?.open !== false &&
      (message === undefined || isSameWithin(message, inner)),
  );
}

function bytesOf(desc: DescMessage, message: Message): Uint8Array {
  try {
    return toBinary(desc, message);
  } catch {
    // All values are valid at this point, so a field that proto2 requires is missing.
    throw missingRequired(desc.typeName);
  }
}

/** A level of JSON in a Struct is three in binary, which has a limit of its own. */
function parsed(desc: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(desc, bytes);
  } catch {
    throw bodyNotJson("nests too deep");
  }
}

/** Returns the message with the fields of the body. */
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
  if (contentType !== null || body.length > 0) assertJsonType(contentType);
  // api_core sends a cancellation with a JSON content type and an empty body.
  if (body.length === 0) return create(desc);
  const parsed = parseJson(body, bodyNotJson);
  if (bound === "all" && !isJsonObject(parsed)) throw bodyNotJson("is not a JSON object");
  const whole = bound === "all" ? parsed : { [bound.jsonName]: parsed };
  try {
    return json.read(desc, whole);
  } catch {
    throw faultError(desc, whole, json);
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

/** Where the parameters of a query go, with their values; of a singular field the first. */
function queryTargetsOf(
  { method, body, variables }: HttpBinding,
  query: readonly QueryParameter[],
): [target: TextTarget, value: string][] {
  const found: [TextTarget, string][] = [];
  const seen = new Set<string>();
  for (const [name, value] of query) {
    if (body === "all") throw unboundParameter(name, "has no place beside a body that is all");
    const target = targetOf(method.input, name, value);
    const { fields, mapKey } = target;
    if (body !== "none" && fields[0] === body) throw unboundParameter(name, "is in the body");
    const path = protoPath(fields);
    if (variables.some((variable) => protoPath(variable.fields) === path)) {
      throw unboundParameter(name, "is in the path");
    }
    if (fields.at(-1)?.fieldKind !== "list") {
      const place = JSON.stringify([path, mapKey]);
      if (seen.has(place)) continue;
      seen.add(place);
    }
    const leaf = fields.at(-1);
    // A plus sign without percent encoding has become a space.
    found.push([target, leaf && isBase64(leaf) ? value.replaceAll(" ", "+") : value]);
  }
  return found;
}

/** The field that a parameter names, by `a.b`, and by `a.b[key]` for an entry of a map. */
function targetOf(desc: DescMessage, name: string, value: string): TextTarget {
  const bracket = name.endsWith("]") ? name.indexOf("[") : -1;
  const mapKey = bracket < 0 ? undefined : name.slice(bracket + 1, -1);
  const fields = fieldAt(desc, (bracket < 0 ? name : name.slice(0, bracket)).split("."));
  const leaf = fields?.at(-1);
  if (fields === undefined || leaf === undefined || (bracket >= 0 && leaf.fieldKind !== "map")) {
    throw unboundParameter(name, `names no field of ${desc.typeName}`);
  }
  if (hasOwnJson(leaf.parent) && !isMaskPaths(leaf)) {
    throw unboundParameter(name, `names a part of a ${leaf.parent.typeName}, which is one value`);
  }
  if (holdsWords(leaf)) {
    if (leaf.fieldKind !== "map" || mapKey !== undefined) return { fields, mapKey };
  } else if (leaf.fieldKind === "message" && value === "" && isChoosable(leaf.message)) {
    return { fields };
  }
  throw unboundParameter(name, "names a message or a map, not one value");
}

/** Whether a message is valid with no field set. */
function isChoosable(desc: DescMessage): boolean {
  return desc.typeName !== "google.protobuf.Value";
}

function pathValue(variable: BoundVariable, segments: readonly string[]): string {
  const raw = segments.slice(variable.start, variable.end).join("/");
  const value = variable.isSingle ? percentDecode(raw) : percentDecodeReserved(raw);
  if (value === undefined) throw malformedUrl(raw);
  return value;
}

/** The error for JSON that cannot be read. The parser's own text is for programmers. */
function faultError(desc: DescMessage, json: ExactJson, codec: MessageJson): ConnectError {
  const fault = findJsonFault(desc, json, codec);
  switch (fault?.kind) {
    case "unknown":
      return unknownMember(fault.path, fault.typeName);
    case "repeated":
      return repeatedMember(fault.path);
    case "oneof":
      return oneofConflict(fault.path, fault.oneof, fault.other);
    case "value":
      return invalidValue(fault.path, typeOf(fault.field), fault.text);
    default:
      return bodyNotJson(`is not a ${desc.typeName}`);
  }
}
