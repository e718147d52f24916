import { clone, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { type ReflectMap, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";

/**
 * The bytes of a message with the entries of its maps in one order, whatever order
 * its sender wrote them in: some write a map anew each time.
 */
export function canonicalBytes(schema: DescMessage, message: Message): Uint8Array<ArrayBuffer> {
  const ordered = clone(schema, message);
  sortMaps(reflect(schema, ordered));
  return Uint8Array.from(toBinary(schema, ordered));
}

function sortMaps(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === "message") {
      sortMaps(message.get(field));
    } else if (field.fieldKind === "list" && field.listKind === "message") {
      for (const item of message.get(field)) sortMaps(item as ReflectMessage);
    } else if (field.fieldKind === "map") {
      const map = message.get(field);
      if (field.mapKind === "message") {
        for (const value of map.values()) sortMaps(value as ReflectMessage);
      }
      sortMap(map);
    }
  }
}

function sortMap(map: ReflectMap): void {
  const entries = [...map.entries()].sort(([one], [other]) =>
    String(one) < String(other) ? -1 : 1,
  );
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}
