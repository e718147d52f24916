import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type MessageShape,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { typeNameOf } from "../any/any.js";
import { typeUrlPrefix } from "../internal/type-url.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import { StatusSchema } from "../protos.js";
import type { OperationRecord } from "../store/operation-store.js";
import type { MethodOptions } from "./method-options.js";
import { stringFieldOf } from "./request-fields.js";

/**
 * Maintains the standard fields of a method's metadata. The fields are encoded around the metadata
 * that the work reports, so nothing is decoded: if a field occurs twice, its last occurrence counts.
 * Target, verb, API version and status come before the reported metadata, so the work can override
 * them. The times and the request to cancel come after it and are removed from reports: only the
 * server sets them.
 */
export interface StandardMetadata {
  /** Returns the encoded fields that are stored before the work has reported. */
  prefixOf(operation: MetadataSource): Uint8Array;
  /** Returns a function that adds the stored fields to encoded metadata that the work reports. */
  aroundReportsOf(operation: MetadataSource): (reported: Uint8Array) => Uint8Array;
  /**
   * Returns the metadata that clients see, a serialized Any: the stored metadata, and the fields
   * that follow from the record's state.
   */
  shownFor(record: OperationRecord): Uint8Array;
}

/** The part of a record that its metadata depends on. */
export type MetadataSource = Pick<OperationRecord, "request" | "principal">;

/** Returns undefined if the metadata has none of the fields. */
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
  const prefixOf = (operation: MetadataSource) => {
    if (target === undefined) return constantBytes;
    const request = fromBinary(method.input, operation.request);
    const writer = new BinaryWriter().raw(constantBytes);
    const { principal } = operation;
    writeString(
      writer,
      target,
      options.target?.(request, { principal }) ?? targetOf(method.input, request),
    );
    return writer.finish();
  };

  return {
    prefixOf,
    aroundReportsOf(operation) {
      const prefix = prefixOf(operation);
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

/**
 * The numbers of the metadata fields that the server maintains; undefined for a field that the
 * message does not have. These are the fields of the OperationMetadata that Google's APIs have in
 * common, recognized by number, type and name, and `expire_time` (AIP-214) at any number.
 */
export interface StandardFields {
  readonly createTime: number | undefined;
  readonly endTime: number | undefined;
  readonly target: number | undefined;
  readonly verb: number | undefined;
  readonly status: number | undefined;
  readonly cancelRequested: number | undefined;
  readonly apiVersion: number | undefined;
  readonly expireTime: number | undefined;
}

export function standardFieldsOf(metadata: DescMessage): StandardFields {
  const string = (number: number, names: readonly string[]) =>
    numberOf(metadata, number, names, (field) => isScalar(field, ScalarType.STRING));
  return {
    createTime: numberOf(metadata, 1, ["create_time"], isTimestamp),
    endTime: numberOf(metadata, 2, ["end_time"], isTimestamp),
    target: string(3, ["target"]),
    verb: string(4, ["verb"]),
    status: string(5, ["status_message", "status_detail", "status"]),
    cancelRequested: numberOf(
      metadata,
      6,
      ["requested_cancellation", "cancel_requested"],
      (field) => isScalar(field, ScalarType.BOOL),
    ),
    apiVersion: string(7, ["api_version"]),
    expireTime: numberOf(metadata, undefined, ["expire_time"], isTimestamp),
  };
}

/** Returns the number of the singular field, outside a oneof, that has this number and one of these names. */
function numberOf(
  schema: DescMessage,
  number: number | undefined,
  names: readonly string[],
  isOfType: (field: DescField) => boolean,
): number | undefined {
  return schema.fields.find(
    (field) =>
      names.includes(field.name) &&
      field.number === (number ?? field.number) &&
      field.oneof === undefined &&
      isOfType(field),
  )?.number;
}

function isScalar(field: DescField, type: ScalarType): boolean {
  return field.fieldKind === "scalar" && field.scalar === type;
}

function isTimestamp(field: DescField): boolean {
  return (
    field.fieldKind === "message" &&
    field.message.typeName === TimestampSchema.typeName &&
    !field.delimitedEncoding
  );
}

/** Writes all fields of a serialized message except the fields with these numbers. */
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

/** 9999-12-31T23:59:59Z, the last second of google.protobuf.Timestamp. */
const lastSecond = 253_402_300_799;

function writeTime(
  writer: BinaryWriter,
  number: number | undefined,
  timeMicros: number | undefined,
): void {
  if (number === undefined || timeMicros === undefined) return;
  const seconds = Math.min(Math.floor(timeMicros / 1_000_000), lastSecond);
  const nanos = Math.min((timeMicros - seconds * 1_000_000) * 1000, 999_999_999);
  // Both fields are written even if they are 0, because decoders merge a message that occurs twice.
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

/** Returns the last segment that is a version (AIP-185); empty if the package has no version. */
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
