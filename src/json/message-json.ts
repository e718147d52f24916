import {
  create,
  type DescMessage,
  fromBinary,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import {
  type Any,
  AnySchema,
  anyPack,
  isWrapperDesc,
  StructSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { typeNameFromUrl } from "../internal/type-url.js";
import { fieldsWithAny, isAny, type MessageField } from "./fields-with-any.js";
import { type ExactJson, type ExactJsonObject, maxJsonDepth } from "./parse-json.js";
import {
  type ProtoJsonWriteOptions,
  readProtoJson,
  type UnknownNames,
  writeProtoJson,
} from "./proto-json.js";

/**
 * Proto3 JSON for messages whose Anys may hold unknown types. Protobuf-ES rejects a whole
 * message for one Any of an unknown type; this writes the type's URL and its bytes in base64:
 *
 *     {"@type": "type.googleapis.com/elsewhere.v1.Thing", "value": "CAE="}
 *
 * A known type whose bytes cannot be decoded is written in this form, too. `read` accepts the
 * form, so that no data is lost on the way through.
 */
export interface MessageJson {
  /** @throws Error for a value that JSON cannot hold, such as a Timestamp of the year 10000. */
  write(desc: DescMessage, message: Message, options?: ProtoJsonWriteOptions): JsonValue;
  /** @throws Error for JSON that does not fit the message. */
  read<Desc extends DescMessage>(desc: Desc, json: ExactJson): MessageShape<Desc>;
  /** How `read` treats members that are not fields, and names that are not enum values. */
  readonly unknownNames: UnknownNames;
  /** Returns the type that the JSON of an Any names, undefined if it is not registered. */
  typeOf(any: ExactJsonObject): DescMessage | undefined;
}

export interface MessageJsonOptions {
  /** The types that an Any may hold. */
  readonly registry: Registry;
  /**
   * How `read` treats an Any whose JSON it cannot read, because its type is unknown or missing, or a
   * member does not fit the type. It rejects the message, or keeps the Any's JSON, including `@type`,
   * as a google.protobuf.Struct, or as a google.protobuf.Value if the JSON is not an object.
   */
  readonly unknownAny: "refuse" | "struct";
  /**
   * How `read` treats members that are not fields, and names that are not enum values. Default:
   * "ignore", which leaves them out.
   */
  readonly unknownNames?: UnknownNames;
}

export function createMessageJson({
  registry,
  unknownAny,
  unknownNames = "ignore",
}: MessageJsonOptions): MessageJson {
  const typeOf = ({ "@type": typeUrl }: ExactJsonObject) =>
    typeof typeUrl === "string" ? registry.getMessage(typeNameFromUrl(typeUrl)) : undefined;

  const writeAny = (any: Any, options: ProtoJsonWriteOptions, depth: number): JsonObject => {
    if (any.typeUrl === "") return {};
    const raw = () => ({ "@type": any.typeUrl, value: base64Encode(any.value) });
    const schema = registry.getMessage(typeNameFromUrl(any.typeUrl));
    if (schema === undefined || depth > maxJsonDepth) return raw();
    try {
      const json = write(schema, fromBinary(schema, any.value), options, depth + 1);
      if (hasOwnJson(schema) || !isJsonObject(json)) return { "@type": any.typeUrl, value: json };
      return { "@type": any.typeUrl, ...json };
    } catch {
      return raw();
    }
  };

  const write = (
    desc: DescMessage,
    message: Message,
    options: ProtoJsonWriteOptions,
    depth: number,
  ): JsonValue => {
    if (isAnyMessage(message)) return writeAny(message, options, depth);
    const bearing: [MessageField, MessageValue][] = [];
    for (const field of fieldsWithAny(desc)) {
      const value = valueIn(message, field);
      if (value !== undefined) bearing.push([field, value]);
    }
    if (bearing.length === 0) return writeProtoJson(desc, message, options);
    const rest = writeProtoJson(desc, withoutFields(message, bearing), options);
    const others = isJsonObject(rest) ? rest : {};
    for (const [field, value] of bearing) {
      others[field.jsonName] = writeField(field, value, (one) =>
        write(field.message, one, options, depth),
      );
    }
    return Object.fromEntries(
      desc.fields.flatMap(({ jsonName }): [string, JsonValue][] => {
        const value = others[jsonName];
        return value === undefined ? [] : [[jsonName, value]];
      }),
    );
  };

  const readAny = (json: ExactJson): Any => {
    try {
      return readTypedAny(json);
    } catch (error) {
      if (unknownAny === "refuse") throw error;
      return isJsonObject(json)
        ? anyPack(StructSchema, readProtoJson(StructSchema, json, unknownNames))
        : anyPack(ValueSchema, readProtoJson(ValueSchema, json, unknownNames));
    }
  };

  const readTypedAny = (json: ExactJson): Any => {
    if (!isJsonObject(json)) throw new Error("an Any is an object");
    const { "@type": typeUrl, ...members } = json;
    if (typeUrl === undefined && Object.keys(members).length === 0) return create(AnySchema);
    if (typeof typeUrl !== "string" || typeUrl === "") throw new Error("an Any has an @type");
    const schema = typeOf(json);
    const bytes = rawBytesOf(members, schema);
    if (bytes !== undefined) return create(AnySchema, { typeUrl, value: bytes });
    if (schema === undefined) throw new Error(`the type ${typeUrl} is not known`);
    const message = read(schema, hasOwnJson(schema) ? valueMember(members) : members);
    return create(AnySchema, { typeUrl, value: toBinary(schema, message) });
  };

  const read = <Desc extends DescMessage>(desc: Desc, json: ExactJson): MessageShape<Desc> => {
    // The descriptor may belong to another copy of Any, whose bytes are the same.
    if (isAny(desc)) return fromBinary(desc, toBinary(AnySchema, readAny(json)));
    const fields = fieldsWithAny(desc);
    if (fields.length === 0 || !isJsonObject(json)) {
      return readProtoJson(desc, json, unknownNames);
    }
    const held: [MessageField, ExactJson][] = [];
    const others: [string, ExactJson][] = [];
    for (const [name, value] of Object.entries(json)) {
      const field = fields.find((one) => one.jsonName === name || one.name === name);
      if (field === undefined || value === null) others.push([name, value]);
      else held.push([field, value]);
    }
    const message = readProtoJson(desc, Object.fromEntries(others), unknownNames);
    // A repeated Any, as in google.rpc.Status, may come as a single value.
    const fitted = unknownAny === "refuse" ? held : held.map(asList);
    readFields(desc, message, fitted, read);
    return message;
  };

  return {
    write: (desc, message, options = {}) => write(desc, message, options, 0),
    read,
    unknownNames,
    typeOf,
  };
}

/** The value of a field that can hold an Any, as Protobuf-ES keeps it. */
type MessageValue = Message | readonly Message[] | Readonly<Record<string, Message>>;

/** Returns the value of a field; undefined if the field is not set. */
function valueIn(message: Message, field: MessageField): MessageValue | undefined {
  const members: Readonly<Record<string, unknown>> = Object(message);
  let value = members[field.oneof?.localName ?? field.localName];
  if (field.oneof !== undefined) {
    const { case: chosen, value: held } = Object(value);
    value = chosen === field.localName ? held : undefined;
  }
  if (field.fieldKind === "message") return isMessageLike(value) ? value : undefined;
  const isEmpty = Object.keys(Object(value)).length === 0;
  return isEmpty ? undefined : Object(value);
}

/** A shallow copy of a message with these fields not set. */
function withoutFields(
  message: Message,
  fields: readonly (readonly [MessageField, MessageValue])[],
): Message {
  const rest: Message & Record<string, unknown> = Object.assign(
    // The defaults of fields with presence are on the prototype.
    Object.create(Object.getPrototypeOf(message)),
    message,
  );
  for (const [field] of fields) {
    if (field.oneof !== undefined) rest[field.oneof.localName] = { case: undefined };
    else if (field.fieldKind === "message") delete rest[field.localName];
    else rest[field.localName] = field.fieldKind === "list" ? [] : {};
  }
  return rest;
}

function writeField(
  field: MessageField,
  value: MessageValue,
  writeOne: (value: Message) => JsonValue,
): JsonValue {
  if (Array.isArray(value)) return value.map(writeOne);
  if (field.fieldKind !== "map") return isMessageLike(value) ? writeOne(value) : {};
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, writeOne(one)]));
}

/** Reads the members that may hold an Any, each into its field. */
function readFields(
  desc: DescMessage,
  message: Message,
  held: readonly [MessageField, ExactJson][],
  read: (desc: DescMessage, json: ExactJson) => Message,
): void {
  const target = reflect(desc, message);
  const readOne = (field: MessageField, json: ExactJson) =>
    reflect(field.message, read(field.message, json));
  for (const [field, json] of held) {
    if (target.isSet(field)) throw new Error(`${field.name} is set twice`);
    if (field.oneof !== undefined && target.oneofCase(field.oneof) !== undefined) {
      throw new Error(`two fields of the oneof ${field.oneof.name} are set`);
    }
    if (field.fieldKind === "message") target.set(field, readOne(field, json));
    else if (field.fieldKind === "list") {
      if (!Array.isArray(json)) throw new Error(`${field.name} is a list`);
      for (const item of json) target.get(field).add(readOne(field, item));
    } else if (field.fieldKind === "map") {
      if (!isJsonObject(json)) throw new Error(`${field.name} is a map`);
      for (const [key, value] of Object.entries(json)) {
        // Protobuf-ES reads the key, whose type may be a number or a boolean.
        const keyOnly = readProtoJson(desc, { [field.jsonName]: { [key]: {} } }, "refuse");
        for (const typedKey of reflect(desc, keyOnly).get(field).keys()) {
          if (target.get(field).has(typedKey)) throw new Error(`${field.name} has a key twice`);
          target.get(field).set(typedKey, readOne(field, value));
        }
      }
    }
  }
}

/**
 * Returns the bytes of an Any in the form for unknown types, and undefined for another form.
 * The `value` of a type that has a field of this name is that field.
 */
function rawBytesOf(
  members: ExactJsonObject,
  schema: DescMessage | undefined,
): Uint8Array | undefined {
  const { value } = members;
  if (typeof value !== "string" || Object.keys(members).length !== 1) return undefined;
  if (schema !== undefined) {
    if (hasOwnJson(schema)) return undefined;
    if (schema.fields.some((field) => field.name === "value" || field.jsonName === "value")) {
      return undefined;
    }
  }
  try {
    return base64Decode(value);
  } catch {
    return undefined;
  }
}

function valueMember(members: ExactJsonObject): ExactJson {
  const { value } = members;
  if (value === undefined) throw new Error("an Any of this type has its JSON under value");
  return value;
}

/** Types whose JSON is not the object of their fields (google.protobuf). */
const ownJson: ReadonlySet<string> = new Set(
  ["Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue"].map(
    (name) => `google.protobuf.${name}`,
  ),
);

/** Whether an Any holds the JSON of this type under `value`, and not beside `@type`. */
export function hasOwnJson(desc: DescMessage): boolean {
  return ownJson.has(desc.typeName) || isWrapperDesc(desc);
}

export function isJsonObject(json: JsonValue | undefined): json is JsonObject;
export function isJsonObject(json: ExactJson | undefined): json is ExactJsonObject;
export function isJsonObject(json: ExactJson | undefined): boolean {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function isAnyMessage(message: Message): message is Any {
  return message.$typeName === AnySchema.typeName;
}

function isMessageLike(value: unknown): value is Message {
  return typeof value === "object" && value !== null && "$typeName" in value;
}

/** Makes a list of the single value of a repeated Any. */
function asList([field, json]: [MessageField, ExactJson]): [MessageField, ExactJson] {
  const isSingle = field.fieldKind === "list" && isAny(field.message) && !Array.isArray(json);
  return [field, isSingle ? [json] : json];
}
