// The JSON that tools return for an operation. Every tool returns this one shape, whether the
// operation is done or not, because models see the structured content and hosts drop the text
// beside it.
import {
  type DescMessage,
  fromBinary,
  type JsonObject,
  type JsonValue,
  type Registry,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { typeNameOf } from "../any/any.js";
import { type OperationStatus, statusOf } from "../display/operation-summary.js";
import { type Progress, progressOf } from "../display/progress.js";
import { hasOwnJson, isJsonObject, type MessageJson } from "../json/message-json.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Operation, Status } from "../protos.js";
import { codeFromNumber, codeName } from "../status/code.js";
import { errorFromStatus, statusFromError } from "../status/status-error.js";
import type { Descriptions } from "./descriptions.js";
import { createSchemaWriter, type JsonSchema, type ObjectSchema } from "./message-schema.js";

/** An operation as tools answer it. */
export interface OperationEnvelope {
  /** The name of the operation. */
  readonly operation: string;
  readonly done: boolean;
  readonly state: OperationStatus;
  /** The metadata as JSON of an Any; absent if the server sent none. */
  readonly metadata?: JsonObject;
  /** The response as JSON of an Any; absent until the operation has succeeded. */
  readonly response?: JsonObject;
  /** The error of an operation that failed or was cancelled; absent for others. */
  readonly error?: ErrorEnvelope;
  /** The call that waits for the end; absent if the operation is done. */
  readonly next?: { readonly tool: string; readonly arguments: { readonly operation: string } };
}

/** A google.rpc.Status, with its code by name. */
export interface ErrorEnvelope {
  /** A name of google.rpc.Code, such as `NOT_FOUND`. */
  readonly code: string;
  readonly message: string;
  /** JSON of Anys; absent without details. */
  readonly details?: readonly JsonValue[];
}

/** The name of the tool that `next` names. */
export const waitTool = "operation_wait";

/** Writes envelopes with the types that the handler knows. */
export interface EnvelopeWriter {
  /**
   * @param types The types that a payload must have; a payload of another type is written as its
   *   `@type` alone, because it need not fit the tool's schema. Undefined: any types.
   */
  ofOperation(operation: Operation, types: LongRunningMethod | undefined): OperationEnvelope;
  ofError(error: ConnectError): ErrorEnvelope;
  /** Reads the progress from metadata of a known type; undefined for other metadata. */
  progressOf(operation: Operation): Progress | undefined;
  /** Unpacks the metadata; undefined for none, for an unknown type and for broken bytes. */
  metadataOf(operation: Operation): ReflectMessage | undefined;
}

export function createEnvelopeWriter(json: MessageJson, registry: Registry): EnvelopeWriter {
  const payload = (any: Any, expected: DescMessage | undefined): JsonObject => {
    if (expected !== undefined && !isOfType(any, expected)) return { "@type": any.typeUrl };
    const written = json.write(AnySchema, any);
    return isJsonObject(written) ? written : {};
  };

  const ofStatus = (status: Status): ErrorEnvelope => ({
    code: codeName(codeFromNumber(status.code) ?? Code.Unknown),
    message: status.message,
    ...(status.details.length === 0
      ? {}
      : { details: status.details.map((detail) => json.write(AnySchema, detail)) }),
  });

  const metadataOf = ({ metadata }: Operation): ReflectMessage | undefined => {
    const desc = metadata && registry.getMessage(typeNameOf(metadata));
    if (metadata === undefined || desc === undefined) return undefined;
    try {
      return reflect(desc, fromBinary(desc, metadata.value));
    } catch {
      return undefined;
    }
  };

  return {
    ofOperation(operation, types) {
      const { name, done, metadata, result } = operation;
      return {
        operation: name,
        done,
        state: statusOf(operation),
        ...(metadata === undefined ? {} : { metadata: payload(metadata, types?.metadata) }),
        ...(result.case === "response" && done
          ? { response: payload(result.value, types?.response) }
          : {}),
        ...(result.case === "error" && done ? { error: ofStatus(result.value) } : {}),
        ...(done ? {} : { next: { tool: waitTool, arguments: { operation: name } } }),
      };
    },
    ofError: (error) => ofStatus(statusFromError(error)),
    progressOf(operation) {
      const metadata = metadataOf(operation);
      return metadata && progressOf(metadata);
    },
    metadataOf,
  };
}

/** Whether an Any holds a message of this type whose bytes can be read. */
function isOfType(any: Any, desc: DescMessage): boolean {
  if (typeNameOf(any) !== desc.typeName) return false;
  try {
    fromBinary(desc, any.value);
    return true;
  } catch {
    return false;
  }
}

/** Returns the error of an operation that failed or was cancelled; undefined for others. */
export function errorOf({ done, result }: Operation): ConnectError | undefined {
  return done && result.case === "error" ? errorFromStatus(result.value) : undefined;
}

const errorSchema: JsonSchema = {
  type: "object",
  description: "Why the operation has no response.",
  properties: {
    code: { type: "string", description: "A name of google.rpc.Code, such as NOT_FOUND." },
    message: { type: "string" },
    details: { type: "array", items: { type: "object" } },
  },
  required: ["code", "message"],
};

const anyPayload: JsonSchema = {
  type: "object",
  properties: { "@type": { type: "string" } },
};

/** Returns the schema of an envelope whose payloads have these types, or any. */
export function operationOutputSchema(
  types: LongRunningMethod | undefined,
  descriptions: Descriptions,
): ObjectSchema {
  const roots = types === undefined ? [] : [types.metadata, types.response];
  const writer = createSchemaWriter("output", roots, descriptions);
  const payloadSchema = (desc: LongRunningMethod["response"] | undefined): JsonSchema => {
    if (desc === undefined) return anyPayload;
    const root = writer.root(desc);
    const own = hasOwnJson(desc) ? { value: root } : root.properties;
    const { description } = root;
    return {
      type: "object",
      ...(description === undefined ? {} : { description }),
      properties: { "@type": { type: "string" }, ...(typeof own === "object" ? own : {}) },
    };
  };
  const properties = {
    operation: { type: "string", description: "The name of the operation." },
    done: { type: "boolean", description: "Whether the operation has ended." },
    state: { type: "string", enum: ["running", "succeeded", "failed", "cancelled"] },
    metadata: payloadSchema(types?.metadata),
    response: payloadSchema(types?.response),
    error: errorSchema,
    next: {
      type: "object",
      description: "The call to make next. Absent if the operation is done.",
      properties: {
        tool: { type: "string" },
        arguments: { type: "object", properties: { operation: { type: "string" } } },
      },
      required: ["tool", "arguments"],
    },
  };
  const definitions = writer.definitions();
  return {
    type: "object",
    properties,
    required: ["operation", "done", "state"],
    ...(definitions === undefined ? {} : { $defs: definitions }),
  };
}
