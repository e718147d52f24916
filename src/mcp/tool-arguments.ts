import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { hasOwnJson, isJsonObject, type MessageJson } from "../json/message-json.js";
import { type ExactJson, type ExactJsonObject, parseJson } from "../json/parse-json.js";
import { BadRequestSchema } from "../protos.js";
import { errorWithInfo } from "../status/error-info.js";

/**
 * Reads the arguments of a tool as the request of its method.
 *
 * The JSON of a Struct or a ListValue may be given as a string, because adapters for hosts with strict
 * schemas send it so. A string for a google.protobuf.Value is that string.
 *
 * @throws ConnectError INVALID_ARGUMENT with a BadRequest that names each field at fault.
 */
export function readArguments(
  desc: DescMessage,
  given: ExactJsonObject,
  json: MessageJson,
): Message {
  const value = hasOwnJson(desc) && !isObjectJson(desc) ? given.value : given;
  if (value === undefined) throw argumentsInvalid([{ field: "value", description: "is missing" }]);
  const adapted = parseStrings(desc, value);
  const violations = violationsIn(desc, adapted, "", json);
  if (violations.length > 0) throw argumentsInvalid(violations);
  try {
    return json.read(desc, adapted);
  } catch {
    // Each member was accepted by itself, so two members exclude each other.
    throw argumentsInvalid([{ field: "", description: "has two members of one oneof" }]);
  }
}

/** A field violation of google.rpc.BadRequest. */
export interface Violation {
  readonly field: string;
  readonly description: string;
}

/** INVALID_ARGUMENT with a BadRequest that names each field at fault. */
export function argumentsInvalid(violations: readonly Violation[]): ConnectError {
  const [first] = violations;
  const text = violations
    .map(({ field, description }) => `${field === "" ? "the object" : field} ${description}`)
    .join("; ");
  return errorWithInfo(Code.InvalidArgument, `the arguments do not fit the input schema: ${text}`, {
    reason: "INVALID_TOOL_ARGUMENTS",
    metadata: { field: first?.field ?? "" },
    details: [{ desc: BadRequestSchema, value: { fieldViolations: [...violations] } }],
  });
}

/** Most violations that are reported at once. */
const maxViolations = 20;

/** Reads each member by itself, down to the deepest member at fault. */
function violationsIn(
  desc: DescMessage,
  value: ExactJson,
  at: string,
  json: MessageJson,
): Violation[] {
  if (hasOwnJson(desc)) return isReadable(() => json.read(desc, value)) ? [] : [unfit(at, desc)];
  if (!isJsonObject(value)) return [{ field: at, description: "is not an object" }];
  const found: Violation[] = [];
  for (const [name, member] of Object.entries(value)) {
    if (found.length >= maxViolations) break;
    const path = at === "" ? name : `${at}.${name}`;
    const field = desc.fields.find((one) => one.jsonName === name || one.name === name);
    if (field === undefined) found.push({ field: path, description: "is not a field" });
    else if (!isReadable(() => json.read(desc, { [name]: member }))) {
      found.push(...violationsOf(field, member, path, json));
    }
  }
  return found;
}

function violationsOf(
  field: DescField,
  value: ExactJson,
  path: string,
  json: MessageJson,
): Violation[] {
  const here = [unfit(path, field)];
  if (field.fieldKind === "message")
    return orHere(violationsIn(field.message, value, path, json), here);
  if (field.fieldKind === "list" && field.message !== undefined && Array.isArray(value)) {
    const { message } = field;
    return orHere(
      value.flatMap((item, index) => violationsIn(message, item, `${path}[${index}]`, json)),
      here,
    );
  }
  return here;
}

function orHere(deeper: Violation[], here: Violation[]): Violation[] {
  return deeper.length > 0 ? deeper.slice(0, maxViolations) : here;
}

function unfit(path: string, expected: DescField | DescMessage): Violation {
  return { field: path, description: `is not ${expectationOf(expected)}` };
}

function expectationOf(expected: DescField | DescMessage): string {
  if (expected.kind === "message") return `the JSON of a ${expected.typeName}`;
  switch (expected.fieldKind) {
    case "message":
      return `the JSON of a ${expected.message.typeName}`;
    case "enum":
      return `a name of the enum ${expected.enum.typeName}`;
    case "list":
      return "an array of the field's type";
    case "map":
      return "an object of the field's type";
    case "scalar":
      return "a value of the field's type and range";
  }
}

function isReadable(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

function isObjectJson(desc: DescMessage): boolean {
  return desc.typeName === "google.protobuf.Struct" || desc.typeName === "google.protobuf.Any";
}

/** Replaces strings by the Struct or ListValue whose JSON they hold. */
function parseStrings(desc: DescMessage, value: ExactJson): ExactJson {
  if (typeof value === "string" && isStructured(desc)) return parsedOr(value);
  if (hasOwnJson(desc) || !isJsonObject(value)) return value;
  let changed: ExactJsonObject | undefined;
  for (const [name, member] of Object.entries(value)) {
    const field = desc.fields.find((one) => one.jsonName === name || one.name === name);
    const parsed = field === undefined ? member : parseStringsOf(field, member);
    if (parsed !== member) changed = { ...(changed ?? value), [name]: parsed };
  }
  return changed ?? value;
}

function parseStringsOf(field: DescField, value: ExactJson): ExactJson {
  const { message } = field;
  if (message === undefined) return value;
  if (field.fieldKind === "list" && Array.isArray(value)) {
    return value.map((item) => parseStrings(message, item));
  }
  if (field.fieldKind === "map" && isJsonObject(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, parseStrings(message, item)]),
    );
  }
  return parseStrings(message, value);
}

function isStructured({ typeName }: DescMessage): boolean {
  return typeName === "google.protobuf.Struct" || typeName === "google.protobuf.ListValue";
}

const utf8 = new TextEncoder();

function parsedOr(text: string): ExactJson {
  try {
    return parseJson(utf8.encode(text));
  } catch {
    return text;
  }
}
