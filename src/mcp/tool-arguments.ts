import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { truncateForError } from "../internal/truncate-for-error.js";
import { findJsonFault, type JsonFault } from "../json/json-fault.js";
import { hasOwnJson, isJsonObject, type MessageJson } from "../json/message-json.js";
import { type ExactJson, type ExactJsonObject, parseJson } from "../json/parse-json.js";
import { argumentInvalid } from "./errors.js";

/**
 * Reads the arguments of a tool as the request of its method.
 *
 * The JSON of a Struct or a ListValue may be given as a string, because adapters for hosts with strict
 * schemas send it so. A string for a google.protobuf.Value is that string.
 *
 * @throws ConnectError INVALID_ARGUMENT with a BadRequest that names the field at fault.
 */
export function readArguments(
  desc: DescMessage,
  given: ExactJsonObject,
  json: MessageJson,
): Message {
  const value = hasOwnJson(desc) && !hasObjectJson(desc) ? given.value : given;
  if (value === undefined) throw argumentInvalid("value", "is missing");
  const adapted = parseStrings(desc, value);
  try {
    return json.read(desc, adapted);
  } catch {
    const fault = findJsonFault(desc, adapted, json);
    throw fault === undefined
      ? argumentInvalid("", `is not the JSON of a ${desc.typeName}`)
      : argumentInvalid(fault.path, problemOf(fault));
  }
}

function problemOf(fault: JsonFault): string {
  switch (fault.kind) {
    case "unknown":
      return `is not a field of ${fault.typeName}`;
    case "repeated":
      return "is set twice, by both of its names";
    case "oneof":
      return `and ${fault.other} are both set, and at most one of them may be`;
    case "value":
      return `has a value that its type does not allow: ${truncateForError(fault.text)}`;
  }
}

function hasObjectJson(desc: DescMessage): boolean {
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
