import { isMessage, type JsonObject, toJson } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { StructSchema, TimestampSchema, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { validate, version } from "uuid";
import { typeNameFromUrl } from "../internal/type-url.js";
import { isJsonObject } from "../json/message-json.js";
import type { Operation } from "../protos.js";
import { codeFromNumber, codeName } from "../status/code.js";
import type { PayloadTypes } from "./payload-types.js";
import { type Progress, progressOf } from "./progress.js";

/** The state of an operation in one word. */
export type OperationStatus = "running" | "succeeded" | "failed" | "cancelled";

/** The facts about an operation that fit into a table row or a progress line. */
export interface OperationSummary {
  readonly name: string;
  readonly status: OperationStatus;
  /** All members are undefined if the metadata is missing or has an unknown type. */
  readonly progress: Progress;
  /** Milliseconds since the Unix epoch; undefined if neither the metadata nor the name has it. */
  readonly createTimeMs: number | undefined;
  /** Milliseconds since the Unix epoch; undefined if the metadata has no `end_time`. */
  readonly endTimeMs: number | undefined;
  /** The method that started the operation, else the type of its metadata, else empty. */
  readonly kind: string;
  /** `CODE: message` of an operation that did not succeed; empty for others. */
  readonly error: string;
}

const noProgress: Progress = { fraction: undefined, counted: undefined, status: undefined };

/** Summarizes an operation, with its metadata unpacked if its type is known. */
export async function summarize(
  operation: Operation,
  types: PayloadTypes,
): Promise<OperationSummary> {
  const { name, metadata: packed, result } = operation;
  const metadata = packed && (await types.unpack(packed));
  const wrapped = metadata && wrappedJsonOf(metadata);
  const typeUrl = wrapped?.["@type"] ?? packed?.typeUrl ?? "";
  const typeName = typeNameFromUrl(String(typeUrl));
  const method = typeName === "" ? undefined : types.methodOf(typeName);
  return {
    name,
    status: statusOf(operation),
    progress: metadata === undefined ? noProgress : progressOf(wrapped ?? metadata),
    createTimeMs:
      jsonTimeMs(wrapped, "createTime") ??
      jsonTimeMs(wrapped, "startTime") ??
      createTimeMsOf(name, metadata),
    endTimeMs: jsonTimeMs(wrapped, "endTime") ?? timeMsIn(metadata, "end_time"),
    kind: method ?? typeName,
    error:
      result.case === "error"
        ? `${codeName(codeFromNumber(result.value.code) ?? Code.Unknown)}: ${result.value.message}`
        : "",
  };
}

/**
 * Returns the JSON of an Any of unknown type, which a REST transport keeps as a google.protobuf.Struct;
 * undefined for other messages.
 */
function wrappedJsonOf(metadata: ReflectMessage): JsonObject | undefined {
  const { message } = metadata;
  if (!isMessage(message, StructSchema)) return undefined;
  const json = toJson(StructSchema, message);
  return isJsonObject(json) && typeof json["@type"] === "string" ? json : undefined;
}

/**
 * Returns the state of an operation.
 *
 * An operation that is done without a result succeeded: some services return none
 * (operations.proto, oneof `result`).
 */
export function statusOf({ done, result }: Operation): OperationStatus {
  if (!done) return "running";
  if (result.case !== "error") return "succeeded";
  return result.value.code === Code.Canceled ? "cancelled" : "failed";
}

/**
 * Returns when an operation was created, in milliseconds since the Unix epoch: the Timestamp called
 * `create_time` or `start_time`, as in Google's metadata types, else the time in a UUIDv7 name.
 */
export function createTimeMsOf(
  name: string,
  metadata: ReflectMessage | undefined,
): number | undefined {
  return timeMsIn(metadata, "create_time") ?? timeMsIn(metadata, "start_time") ?? uuidTimeMs(name);
}

/** Returns the time in a Timestamp field; undefined if the metadata has no such field, or it is not set. */
export function timeMsIn(
  metadata: ReflectMessage | undefined,
  fieldName: string,
): number | undefined {
  const field = metadata?.fields.find((one) => one.name === fieldName);
  if (metadata === undefined || field?.fieldKind !== "message" || !metadata.isSet(field)) {
    return undefined;
  }
  const { message } = metadata.get(field);
  return isMessage(message, TimestampSchema) ? timestampMs(message) : undefined;
}

/** Returns the time in a member of JSON; undefined if there is no such member, or it is not a time. */
function jsonTimeMs(json: JsonObject | undefined, name: string): number | undefined {
  const value = json?.[name];
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** The time in a name that ends in a UUIDv7 (RFC 9562, 5.7), as the names of this package's server do. */
function uuidTimeMs(name: string): number | undefined {
  const id = name.slice(name.lastIndexOf("/") + 1);
  if (!validate(id) || version(id) !== 7) return undefined;
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}
