import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { isAny } from "./fields-with-any.js";
import { hasOwnJson, isJsonObject, type MessageJson } from "./message-json.js";
import { type ExactJson, type ExactJsonObject, exactJsonText } from "./parse-json.js";

/**
 * The reason why JSON is not a message. A path has the names of the .proto, with the index of an
 * item and the key of an entry: `a.items[1].labels["k"]`.
 */
export type JsonFault =
  /** A member is not a field of the message at this place. */
  | { readonly kind: "unknown"; readonly path: string; readonly typeName: string }
  /** A field is there under both of its names. */
  | { readonly kind: "repeated"; readonly path: string }
  /** Two members of one oneof are there. */
  | {
      readonly kind: "oneof";
      readonly path: string;
      readonly oneof: string;
      readonly other: string;
    }
  /** The field's type does not have this value, which `text` shows as JSON, or as the string. */
  | {
      readonly kind: "value";
      readonly path: string;
      readonly field: DescField;
      readonly text: string;
    };

/** How deep the search goes: it reads the faulty part once more per level. */
const maxFaultDepth = 8;

/**
 * Finds the innermost member at fault in JSON that `codec` does not read as a message. Returns
 * undefined if the JSON as a whole is not of this type.
 */
export function findJsonFault(
  desc: DescMessage,
  json: ExactJson,
  codec: MessageJson,
): JsonFault | undefined {
  const path: string[] = [];
  let innermost: FieldFault | undefined;
  let value = json;
  let current: DescMessage | undefined = desc;
  while (current !== undefined && isJsonObject(value) && path.length < maxFaultDepth) {
    const unknown: string | undefined = unknownNameOf(current, value, codec);
    if (unknown !== undefined) {
      return { kind: "unknown", path: [...path, unknown].join("."), typeName: current.typeName };
    }
    const found: FieldFault | undefined = firstFault(current, value, codec);
    if (found === undefined) {
      const conflict: JsonFault | undefined = conflictOf(current, value, path);
      if (conflict !== undefined) return conflict;
      break;
    }
    innermost = found;
    path.push(found.name);
    value = found.value;
    current = found.field.message;
    if (current !== undefined && isAny(current) && isJsonObject(value)) {
      current = codec.typeOf(value);
      if (current !== undefined && !hasOwnJson(current)) {
        const { "@type": _, ...members } = value;
        value = members;
      }
    }
    if (current !== undefined && hasOwnJson(current)) break;
  }
  if (innermost === undefined) return undefined;
  const text = typeof value === "string" ? value : exactJsonText(value);
  return { kind: "value", path: path.join("."), field: innermost.field, text };
}

interface FieldFault {
  readonly field: DescField;
  /** The field's name, with the index of the item or the key of the entry. */
  readonly name: string;
  readonly value: ExactJson;
}

function fieldNamed(desc: DescMessage, name: string): DescField | undefined {
  return desc.fields.find((one) => one.jsonName === name || one.name === name);
}

function unknownNameOf(desc: DescMessage, json: ExactJsonObject, { unknownNames }: MessageJson) {
  if (unknownNames === "ignore") return undefined;
  return Object.keys(json).find((name) => fieldNamed(desc, name) === undefined);
}

function firstFault(
  desc: DescMessage,
  json: ExactJsonObject,
  codec: MessageJson,
): FieldFault | undefined {
  const isReadable = (name: string, value: ExactJson) => {
    try {
      codec.read(desc, { [name]: value });
      return true;
    } catch {
      return false;
    }
  };
  for (const [name, value] of Object.entries(json)) {
    const field = fieldNamed(desc, name);
    if (field === undefined || isReadable(name, value)) continue;
    if (field.fieldKind === "list" && Array.isArray(value)) {
      const at = value.findIndex((item) => !isReadable(name, [item]));
      const item = value[at];
      if (item !== undefined) return { field, name: `${field.name}[${at}]`, value: item };
    }
    if (field.fieldKind === "map" && isJsonObject(value)) {
      const entry = Object.entries(value).find(([key, one]) => !isReadable(name, { [key]: one }));
      if (entry !== undefined) {
        return { field, name: `${field.name}[${JSON.stringify(entry[0])}]`, value: entry[1] };
      }
    }
    return { field, name: field.name, value };
  }
  return undefined;
}

/** Finds two members that exclude each other. */
function conflictOf(
  desc: DescMessage,
  json: ExactJsonObject,
  path: readonly string[],
): JsonFault | undefined {
  const names = new Set<string>();
  const membersOfOneofs = new Map<string, string>();
  for (const [name, value] of Object.entries(json)) {
    const field = fieldNamed(desc, name);
    if (field === undefined) continue;
    const at = [...path, field.name].join(".");
    if (names.has(field.name)) return { kind: "repeated", path: at };
    names.add(field.name);
    if (field.oneof === undefined || value === null) continue;
    const other = membersOfOneofs.get(field.oneof.name);
    if (other !== undefined) {
      return { kind: "oneof", path: at, oneof: field.oneof.name, other };
    }
    membersOfOneofs.set(field.oneof.name, field.name);
  }
  return undefined;
}
