import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { typeNameOf } from "../any/any.js";
import { typeUrlPrefix } from "../internal/type-url.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import { StatusSchema } from "../protos.js";
import type { OperationRecord } from "../store/operation-store.js";
import type { MethodOptions } from "./method-options.js";
import { stringFieldOf } from "./request-fields.js";
import { standardFieldsOf } from "./standard-fields.js";

/**
 * The standard fields of a method's metadata, kept by the server. They are put around what the
 * work reports as serialized fields, so that nothing is decoded: of a field that occurs twice
 * the last one counts. What the work sets counts for target, verb, api_version and the status,
 * which come before it; the times and the request to cancel, which come after it, are the
 * server's alone, and taken out of what the work reports.
 */
export interface StandardMetadata {
  /** What is stored before what the work reports. */
  prefixOf(request: Uint8Array): Uint8Array;
  /** What is stored for a report, by the metadata that the work made, serialized. */
  aroundReportsOf(request: Uint8Array): (reported: Uint8Array) => Uint8Array;
  /**
   * The metadata that a record shows, a serialized Any: what is stored, and what follows from
   * its state.
   */
  shownFor(record: OperationRecord): Uint8Array;
}

/** Undefined where the metadata has none of the fields. */
export function standardMetadataOf<I extends DescMessage>(
  { method, metadata }: LongRunningMethod<I>,
  options: Pick<MethodOptions<I>, "target" | "verb" | "apiVersion">,
): StandardMetadata | undefined {
  const fields = standardFieldsOf(metadata);
  const { target, verb, status, apiVersion, createTime, endTime, cancelRequested, expireTime } =
    fields;
  if (Object.values(fields).every((number) => number === undefined)) return undefined;

  const constants = new BinaryWriter();
  writeString(constants, verb, options.verb ?? firstWord(method.name));
  const version = options.apiVersion ?? versionOf(method.parent.file.proto.package);
  writeString(constants, apiVersion, version);
  const constantBytes = constants.finish();

  const own = new Set([createTime, endTime, cancelRequested, expireTime]);
  const prefixOf = (bytes: Uint8Array) => {
    if (target === undefined) return constantBytes;
    const request = fromBinary(method.input, bytes);
    const writer = new BinaryWriter().raw(constantBytes);
    writeString(writer, target, options.target?.(request) ?? targetOf(method.input, request));
    return writer.finish();
  };

  return {
    prefixOf,
    aroundReportsOf(request) {
      const prefix = prefixOf(request);
      return (reported) => withoutFields(own, reported, new BinaryWriter().raw(prefix)).finish();
    },
    shownFor(record) {
      const stored = record.metadata && fromBinary(AnySchema, record.metadata);
      if (record.metadata !== undefined && stored !== undefined) {
        if (typeNameOf(stored) !== metadata.typeName) return record.metadata;
      }
      const writer = new BinaryWriter();
      writeString(writer, status, status === undefined ? "" : statusOf(record));
      if (stored !== undefined) writer.raw(stored.value);
      writeTime(writer, createTime, record.createTimeMicros);
      writeTime(writer, endTime, record.endTimeMicros);
      writeTime(writer, expireTime, record.expireTimeMicros);
      if (cancelRequested !== undefined && record.cancelRequestTimeMicros !== undefined) {
        writer.tag(cancelRequested, WireType.Varint).bool(true);
      }
      const typeUrl = stored?.typeUrl ?? typeUrlPrefix + metadata.typeName;
      return toBinary(AnySchema, create(AnySchema, { typeUrl, value: writer.finish() }));
    },
  };
}

/** Write all fields of a serialized message but those of these numbers. */
function withoutFields(
  numbers: ReadonlySet<number | undefined>,
  message: Uint8Array,
  writer: BinaryWriter,
): BinaryWriter {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    reader.skip(wireType, number);
    if (!numbers.has(number)) writer.raw(message.subarray(start, reader.pos));
  }
  return writer;
}

function writeString(writer: BinaryWriter, number: number | undefined, value: string): void {
  if (number === undefined || value === "") return;
  writer.tag(number, WireType.LengthDelimited).string(value);
}

/** 9999-12-31T23:59:59Z, where google.protobuf.Timestamp ends. */
const lastSecond = 253_402_300_799;

function writeTime(
  writer: BinaryWriter,
  number: number | undefined,
  timeMicros: number | undefined,
): void {
  if (number === undefined || timeMicros === undefined) return;
  const seconds = Math.min(Math.floor(timeMicros / 1_000_000), lastSecond);
  const nanos = Math.min((timeMicros - seconds * 1_000_000) * 1000, 999_999_999);
  // Both, also where they are 0: a message that occurs twice is merged field by field.
  writer
    .tag(number, WireType.LengthDelimited)
    .fork()
    .tag(1, WireType.Varint)
    .int64(seconds)
    .tag(2, WireType.Varint)
    .int32(nanos)
    .join();
}

function firstWord(methodName: string): string {
  return (/^(?:[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+)/.exec(methodName)?.[0] ?? "").toLowerCase();
}

/** The last segment that is a version (AIP-185); empty where the package has none. */
function versionOf(packageName: string): string {
  const isVersion = (segment: string) => /^v\d+(?:p\d+)?(?:(?:alpha|beta)\d*)?$/.test(segment);
  return packageName.split(".").findLast(isVersion) ?? "";
}

function targetOf<I extends DescMessage>(schema: I, request: MessageShape<I>): string {
  return stringFieldOf(schema, request, "name") || stringFieldOf(schema, request, "parent") || "";
}

function statusOf({ state, result, cancelRequestTimeMicros }: OperationRecord): string {
  if (result?.kind === "response") return "succeeded";
  if (result?.kind === "error") {
    return fromBinary(StatusSchema, result.value).code === Code.Canceled ? "cancelled" : "failed";
  }
  if (state !== "running") return "queued";
  return cancelRequestTimeMicros === undefined ? "running" : "cancelling";
}
