import type { DescMessage, JsonValue, Message, MessageShape, Registry } from "@bufbuild/protobuf";
import { typeRegistryOf } from "../../any/type-registry.js";
import { createMessageJson, isJsonObject } from "../../json/message-json.js";

/** ProtoJSON that reads the messages of faulty servers, so that cases can judge the faults. */
export interface TolerantJson {
  write(desc: DescMessage, message: Message): JsonValue;
  /** @throws Error if the JSON is not the message, even leniently. */
  read<Desc extends DescMessage>(desc: Desc, json: JsonValue): MessageShape<Desc>;
  /** @throws Error if the JSON is not the message, or has an unknown member. */
  readStrictly<Desc extends DescMessage>(desc: Desc, json: JsonValue): MessageShape<Desc>;
}

/** Returns a reader and writer that knows the types in `registry` and those of google.rpc. */
export function createTolerantJson(registry: Registry | undefined): TolerantJson {
  const types = typeRegistryOf([], registry);
  const tolerant = createMessageJson({ registry: types, unknownAny: "struct" });
  const strict = createMessageJson({
    registry: types,
    unknownAny: "refuse",
    unknownNames: "refuse",
  });
  return {
    write: (desc, message) => tolerant.write(desc, message),
    read: (desc, json) => tolerant.read(desc, withoutSecondResult(desc, json)),
    readStrictly: (desc, json) => strict.read(desc, json),
  };
}

/** An Operation with both results would be refused as a whole; the invariants see the raw JSON. */
function withoutSecondResult(desc: DescMessage, json: JsonValue): JsonValue {
  if (!isJsonObject(json)) return json;
  if (desc.typeName === "google.longrunning.Operation") {
    if (json.error === undefined || json.response === undefined) return json;
    const { response, ...rest } = json;
    return rest;
  }
  if (!Array.isArray(json.operations)) return json;
  const [field] = desc.fields.filter(({ jsonName }) => jsonName === "operations");
  const item = field?.message;
  if (item === undefined) return json;
  return { ...json, operations: json.operations.map((one) => withoutSecondResult(item, one)) };
}

const utf8 = new TextDecoder();

/** Returns the JSON of a body, undefined if the body is not JSON. */
export function parseBody(body: Uint8Array): JsonValue | undefined {
  try {
    return JSON.parse(utf8.decode(body));
  } catch {
    return undefined;
  }
}
