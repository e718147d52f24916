import {
  type DescField,
  type DescMessage,
  fromBinary,
  isMessage,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import {
  isReflectList,
  isReflectMap,
  isReflectMessage,
  type ReflectMessage,
  reflect,
} from "@bufbuild/protobuf/reflect";
import { AnySchema, DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { typeNameFromUrl } from "../internal/type-url.js";
import { StatusSchema } from "../protos.js";
import {
  compares,
  type PlainValue,
  passesBytes,
  passesJson,
  passesWildcard,
  type ValueTest,
} from "./value-test.js";

/**
 * A condition on the content of a payload, which a store evaluates record by record. It is true if
 * one of the alternatives is, one for each type of the payload.
 */
export interface PayloadCondition {
  readonly kind: "payload";
  readonly payload: "metadata" | "response" | "error";
  readonly alternatives: readonly PayloadTest[];
}

/** A test of a payload of one type. A payload of another type does not match. */
export interface PayloadTest {
  /** google.rpc.Status for `error`. */
  readonly type: DescMessage;
  readonly path: readonly PayloadStep[];
  readonly test: ValueTest;
}

/** One step on the way from a message to the values that are tested. */
export type PayloadStep =
  /** A field; where it is a message that is not set, the way ends and nothing matches. */
  | { readonly kind: "field"; readonly field: DescField }
  /** A map's value; without the key nothing matches. */
  | { readonly kind: "key"; readonly key: PlainValue }
  /** Any element of a repeated field. */
  | { readonly kind: "element" }
  /** The message in a google.protobuf.Any, if it has this type. */
  | { readonly kind: "unpack"; readonly type: DescMessage };

/** The payloads of a record, serialized as the record stores them. */
export interface SerializedPayloads {
  /** A google.protobuf.Any. */
  readonly metadata: Uint8Array | undefined;
  /** `response`: a google.protobuf.Any. `error`: a google.rpc.Status. */
  readonly result: { readonly kind: "response" | "error"; readonly value: Uint8Array } | undefined;
}

/**
 * Reads the payloads of one record. Each payload is decoded when it is first needed, and only once.
 */
export interface PayloadReader {
  /** Whether the payload passes. One that cannot be decoded does not. */
  matches(condition: PayloadCondition): boolean;
  /** `error.code`; undefined without an error, or for one that cannot be decoded. */
  errorCode(): number | undefined;
}

export function createPayloadReader({ metadata, result }: SerializedPayloads): PayloadReader {
  const decode = createDecoder();
  const bytesOf = (payload: PayloadCondition["payload"]) => {
    if (payload === "metadata") return metadata;
    return result?.kind === payload ? result.value : undefined;
  };
  const open = (payload: PayloadCondition["payload"], type: DescMessage) => {
    const bytes = bytesOf(payload);
    if (bytes === undefined) return undefined;
    return payload === "error"
      ? decode(type, bytes)
      : unpack(decode(AnySchema, bytes), type, decode);
  };
  return {
    matches({ payload, alternatives }) {
      return alternatives.some(({ type, path, test }) => {
        const message = open(payload, type);
        return message !== undefined && isFound(reflect(type, message), path, test, decode);
      });
    },
    errorCode() {
      const status = open("error", StatusSchema);
      return isMessage(status, StatusSchema) ? status.code : undefined;
    },
  };
}

/** Decodes bytes as a message; undefined if they are not one. */
type Decode = (type: DescMessage, bytes: Uint8Array) => Message | undefined;

/** Remembers what it has decoded. */
function createDecoder(): Decode {
  const decoded = new Map<Uint8Array, Map<string, Message | undefined>>();
  return (type, bytes) => {
    const byType = decoded.get(bytes) ?? new Map<string, Message | undefined>();
    decoded.set(bytes, byType);
    if (!byType.has(type.typeName)) byType.set(type.typeName, decodedOrUndefined(type, bytes));
    return byType.get(type.typeName);
  };
}

function decodedOrUndefined(type: DescMessage, bytes: Uint8Array): Message | undefined {
  try {
    return fromBinary(type, bytes);
  } catch {
    return undefined;
  }
}

/** The message in an Any of this type; undefined for one of another. */
function unpack(any: unknown, type: DescMessage, decode: Decode): Message | undefined {
  if (!isMessage(any, AnySchema) || typeNameFromUrl(any.typeUrl) !== type.typeName)
    return undefined;
  return decode(type, any.value);
}

/** Whether the way leads to a value that passes. */
function isFound(
  value: unknown,
  path: readonly PayloadStep[],
  test: ValueTest,
  decode: Decode,
  depth = 0,
): boolean {
  const step = path[depth];
  const goOn = (next: unknown) => isFound(next, path, test, decode, depth + 1);
  if (step === undefined) return passes(value, test);
  switch (step.kind) {
    case "field": {
      if (!isReflectMessage(value)) return false;
      const { field } = step;
      const isEnd = depth === path.length - 1;
      if (isEnd && test.kind === "present") return value.isSet(field);
      if (field.fieldKind === "message" && !value.isSet(field)) return false;
      return goOn(value.get(field));
    }
    case "key":
      return isReflectMap(value) && value.has(step.key) && goOn(value.get(step.key));
    case "element": {
      if (!isReflectList(value)) return false;
      for (const element of value) if (goOn(element)) return true;
      return false;
    }
    case "unpack": {
      const message = isReflectMessage(value) && unpack(value.message, step.type, decode);
      return message ? goOn(reflect(step.type, message)) : false;
    }
  }
}

function passes(value: unknown, test: ValueTest): boolean {
  switch (test.kind) {
    case "present":
      return true;
    case "compare":
      return isPlain(value) && compares(test.operator, value, test.value);
    case "wildcard":
      return typeof value === "string" && passesWildcard(test, value);
    case "bytes":
      return value instanceof Uint8Array && passesBytes(test, value);
    case "nanos": {
      const nanos = isReflectMessage(value) ? nanosOf(value) : undefined;
      return nanos !== undefined && compares(test.operator, nanos, test.value);
    }
    case "json": {
      const json = isReflectMessage(value) ? jsonOf(value) : undefined;
      return json !== undefined && passesJson(test, json);
    }
  }
}

function isPlain(value: unknown): value is PlainValue {
  return ["string", "number", "bigint", "boolean"].includes(typeof value);
}

/** A Timestamp or a Duration in nanoseconds. */
function nanosOf({ message }: ReflectMessage): bigint | undefined {
  if (!isMessage(message, TimestampSchema) && !isMessage(message, DurationSchema)) return undefined;
  return message.seconds * 1_000_000_000n + BigInt(message.nanos);
}

/** Returns a Struct, Value or ListValue as JSON; undefined if JSON has no such value, such as NaN. */
function jsonOf({ desc, message }: ReflectMessage): JsonValue | undefined {
  try {
    return toJson(desc, message);
  } catch {
    return undefined;
  }
}
