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
import { typeRegistryOf } from "../any/type-registry.js";
import { createMessageJson } from "../json/message-json.js";
import { missReportingRegistry } from "../json/miss-reporting-registry.js";
import { operationInfoOf } from "../operation/long-running.js";

/** Finds the files that declare a type and its imports; empty for an unknown type. Never rejects. */
export type TypeLookup = (typeName: string) => Promise<readonly DescFile[]>;

/** The types of payloads: the types that are known from the start, and types that a lookup finds. */
export interface PayloadTypes {
  /**
   * Writes a message in proto3 JSON with its Anys unpacked. An Any of a type that no source
   * has is written as `{"@type": "…", "value": "BASE64"}`.
   */
  json<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Promise<JsonValue>;
  /** Unpacks an Any; undefined for a type that no source has, and for broken bytes. */
  unpack(any: Any): Promise<ReflectMessage | undefined>;
  /**
   * Returns the long-running method with this metadata type, as `Service.Method`, and undefined
   * if no method or more than one is known.
   */
  methodOf(metadataType: string): string | undefined;
}

/** How often types are looked up for one message: an Any may hold an Any, and so on. */
const maxLookupRounds = 8;

/**
 * @param own The types that are known from the start, in addition to google.rpc and the
 *   well-known types. They win over types that `lookUp` finds.
 * @param lookUp Called at most once for each type.
 */
export function createPayloadTypes(
  own: Registry | undefined,
  lookUp: TypeLookup | undefined,
): PayloadTypes {
  const found = new Set<DescFile>();
  const asked = new Map<string, Promise<void>>();
  let registry = typeRegistryOf(found, own);

  /** Callers that need one type at the same time share one lookup. */
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
          registry: missReportingRegistry(known, (typeName) => missing.add(typeName)),
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
