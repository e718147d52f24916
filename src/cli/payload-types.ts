import {
  type DescFile,
  type DescMessage,
  fromBinary,
  type JsonValue,
  type Message,
  type MessageShape,
  type Registry,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { Any } from "@bufbuild/protobuf/wkt";
import { typeNameOf } from "../any/any.js";
import { operationInfoOf } from "../operation/long-running.js";
import { createMessageJson } from "../rest/message-json.js";
import { typeRegistryOf } from "../rest/type-registry.js";
import { noticingRegistry } from "./noticing-registry.js";

/** Finds the files that declare a type and what it needs; none where nobody knows it. Never rejects. */
export type TypeLookup = (typeName: string) => Promise<readonly DescFile[]>;

/** The types that payloads may be of: those that are known here, and those that a lookup finds. */
export interface PayloadTypes {
  /**
   * A message in proto3 JSON, with what its Anys hold. An Any of a type that is found nowhere is
   * `{"@type": "…", "value": "BASE64"}`.
   */
  json<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Promise<JsonValue>;
  /** What an Any holds; undefined for a type that is found nowhere, and for broken bytes. */
  unpack(any: Any): Promise<ReflectMessage | undefined>;
  /**
   * The long-running method with this metadata type, as `Service.Method`; undefined where none
   * or more than one is known.
   */
  methodOf(metadataType: string): string | undefined;
}

/** How often types are looked up for one message: an Any may hold an Any, and so on. */
const maxLookupRounds = 8;

/**
 * @param own Known from the start, besides google.rpc and the well-known types; wins over what is
 *   looked up.
 * @param lookUp Asked at most once for each type.
 */
export function createPayloadTypes(
  own: Registry | undefined,
  lookUp: TypeLookup | undefined,
): PayloadTypes {
  const found = new Set<DescFile>();
  const asked = new Map<string, Promise<void>>();
  let registry = typeRegistryOf(found, own);

  /** Those who ask for one type at a time share one look. */
  const learn = (typeName: string): Promise<void> => {
    const learnt = asked.get(typeName) ?? lookUpAndKeep(typeName);
    asked.set(typeName, learnt);
    return learnt;
  };
  const lookUpAndKeep = async (typeName: string) => {
    const files = (await lookUp?.(typeName)) ?? [];
    if (files.length === 0) return;
    for (const file of files) found.add(file);
    registry = typeRegistryOf(found, own);
  };

  return {
    async json(desc, message) {
      for (let round = 0; ; round += 1) {
        const missing = new Set<string>();
        const known = registry;
        const json = createMessageJson({
          registry: noticingRegistry(known, (typeName) => missing.add(typeName)),
          unknownAny: "refuse",
        }).write(desc, message);
        for (const typeName of missing) await learn(typeName);
        if (registry === known || round === maxLookupRounds) return json;
      }
    },

    async unpack(any) {
      const typeName = typeNameOf(any);
      if (registry.getMessage(typeName) === undefined) await learn(typeName);
      const desc = registry.getMessage(typeName);
      if (desc === undefined) return undefined;
      try {
        const message: Message = fromBinary(desc, any.value);
        return reflect(desc, message);
      } catch {
        return undefined;
      }
    },

    methodOf(metadataType) {
      const methods = new Set<string>();
      for (const type of registry) {
        if (type.kind !== "service") continue;
        for (const method of type.methods) {
          if (operationInfoOf(method)?.metadata === metadataType) {
            methods.add(`${type.name}.${method.name}`);
          }
        }
      }
      const [first] = methods;
      return methods.size === 1 ? first : undefined;
    },
  };
}
