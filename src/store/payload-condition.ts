import {
  type DescField,
  type DescMessage,
  fromBinary,
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
import { AnySchema } from "@bufbuild/protobuf/wkt";
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
 * A condition on what is in a payload, which a store evaluates record by record. It is
 * true where one of the alternatives is: the types that the payload may have.
 */
export interface PayloadCondition {
  readonly kind: "payload";
  readonly payload: "metadata" | "response" | "error";
  readonly alternatives: readonly PayloadTest[];
}

/** What a payload of one type must hold. A payload of another type does not match. */
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

/** The payloads of a record, as it keeps them: serialized. */
export interface SerializedPayloads {
  /** A google.protobuf.Any. */
  readonly metadata: Uint8Array | undefined;
  /** `response`: a google.protobuf.Any. `error`: a google.rpc.Status. */
  readonly result: { readonly kind: "response" | "error"; readonly value: Uint8Array } | undefined;
}

/** Reads the payloads of one record: each is decoded when it is first asked for, and only once. */
export interface PayloadReader {
  /** Whether the payload passes. One that cannot be decoded does not. */
  matches(condition: PayloadCondition): boolean;
  /** `error.code`; undefined without an error, or for one that cannot be decoded. */
  errorCode(): number | undefined;
}

export function createPayloadReader(record: SerializedPayloads): PayloadReader {
  const { result } = record;
  const decoded = new Map<Uint8Array, Map<string, Message | undefined>>();
  const decode: Decode = (type, bytes) => {
    const byType = decoded.get(bytes) ?? new Map<string, Message | undefined>();
    decoded.set(bytes, byType);
    if (!byType.has(type.typeName)) byType.set(type.typeName, decodedOrUndefined(type, bytes));
    const message = byType.get(type.typeName);
    return message && reflect(type, message);
  };
  const open = (payload: PayloadCondition["payload"], type: DescMessage) => {
    const bytes = payload === "metadata" ? record.metadata : resultBytes(payload);
    if (bytes === undefined || payload === "error") return bytes && decode(type, bytes);
    const any = decode(AnySchema, bytes);
    return any && unpack(any, type, decode);
  };
  const resultBytes = (kind: "response" | "error") =>
    result?.kind === kind ? result.value : undefined;
  return {
    matches({ payload, alternatives }) {
      return alternatives.some(({ type, path, test }) => {
        const message = open(payload, type);
        return message !== undefined && isFound(message, path, test, decode);
      });
    },
    errorCode() {
      const code = open("error", StatusSchema)?.get(StatusSchema.field.code);
      return typeof code === "number" ? code : undefined;
    },
  };
}

type Decode = (type: DescMessage, bytes: Uint8Array) => ReflectMessage | undefined;

function decodedOrUndefined(type: DescMessage, bytes: Uint8Array): Message | undefined {
  try {
    return fromBinary(type, bytes);
  } catch {
    return undefined;
  }
}

/** The message in an Any of this type; undefined for one of another. */
function unpack(any: ReflectMessage, type: DescMessage, decode: Decode) {
  const typeUrl = any.get(AnySchema.field.typeUrl);
  const bytes = any.get(AnySchema.field.value);
  if (typeof typeUrl !== "string" || !(bytes instanceof Uint8Array)) return undefined;
  return typeNameFromUrl(typeUrl) === type.typeName ? decode(type, bytes) : undefined;
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
      const message = isReflectMessage(value) ? unpack(value, step.type, decode) : undefined;
      return message !== undefined && goOn(message);
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
function nanosOf(message: ReflectMessage): bigint | undefined {
  const [seconds, nanos] = ["seconds", "nanos"].map((name) => {
    const field = message.fields.find((candidate) => candidate.name === name);
    return field && message.get(field);
  });
  if (typeof seconds !== "bigint" || typeof nanos !== "number") return undefined;
  return seconds * 1_000_000_000n + BigInt(nanos);
}

/** A Struct, Value or ListValue as JSON; undefined for what JSON cannot hold, such as NaN. */
function jsonOf({ desc, message }: ReflectMessage): JsonValue | undefined {
  try {
    return toJson(desc, message);
  } catch {
    return undefined;
  }
}
