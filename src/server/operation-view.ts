import { create, fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { WireMessage } from "../internal/wire-message.js";
import {
  ListOperationsResponseSchema,
  type Operation,
  OperationSchema,
  StatusSchema,
} from "../protos.js";
import type { OperationRecord, StoredResult } from "../store/operation-store.js";
import type { ResponseForms } from "./method-handler.js";
import type { Methods } from "./methods.js";

/** The part of a record that clients see, with its payloads encoded as they are stored. */
export interface OperationView {
  readonly name: string;
  /** A serialized google.protobuf.Any; undefined if there is no metadata. */
  readonly metadata: Uint8Array | undefined;
  readonly done: boolean;
  /** The result. Undefined until the operation is done. */
  readonly result: StoredResult | undefined;
}

/** Returns the view of a record. */
export type ToView = (record: OperationRecord) => OperationView;

/** The metadata of registered methods contains their standard fields. */
export function createToView(methods: Pick<Methods, "policyOf">): ToView {
  return (record) => {
    const { metadata } = methods.policyOf(record.method);
    return {
      name: record.name,
      metadata: metadata === undefined ? record.metadata : metadata.shownFor(record),
      done: record.state === "done",
      result: record.result,
    };
  };
}

export function operationMessage({ name, metadata, done, result }: OperationView): Operation {
  return create(OperationSchema, {
    name,
    metadata: metadata && fromBinary(AnySchema, metadata),
    done,
    result: result && operationResult(result),
  });
}

function operationResult({ kind, value }: StoredResult) {
  return kind === "response"
    ? { case: kind, value: fromBinary(AnySchema, value) }
    : { case: kind, value: fromBinary(StatusSchema, value) };
}

/** The forms of a response that is one operation. */
export const operationForms: ResponseForms<OperationView, Operation> = {
  toMessage: operationMessage,
  toWire: (view) => new EncodedOperation(view),
};

/** The wire type of length-delimited fields (protobuf.dev/programming-guides/encoding). */
const lengthDelimited = 2;

const { name, metadata, done, error, response } = OperationSchema.field;
const { operations, nextPageToken, unreachable } = ListOperationsResponseSchema.field;

/** All of these numbers are below 16, so that each tag is one byte. */
const tags = {
  name: tagOf(name),
  metadata: tagOf(metadata),
  done: done.number << 3,
  error: tagOf(error),
  response: tagOf(response),
  operations: tagOf(operations),
  nextPageToken: tagOf(nextPageToken),
  unreachable: tagOf(unreachable),
};

const utf8 = new TextEncoder();

/** An encoded google.longrunning.Operation. The stored payloads are copied, not encoded again. */
export class EncodedOperation implements WireMessage {
  readonly byteLength: number;
  private readonly nameLength: number;

  constructor(private readonly view: OperationView) {
    const { name, metadata, done, result } = view;
    this.nameLength = utf8Length(name);
    this.byteLength =
      (this.nameLength === 0 ? 0 : fieldLength(this.nameLength)) +
      (metadata === undefined ? 0 : fieldLength(metadata.byteLength)) +
      (done ? 2 : 0) +
      (result === undefined ? 0 : fieldLength(result.value.byteLength));
  }

  writeTo(target: Uint8Array, start: number): number {
    const { name, metadata, done, result } = this.view;
    let at = start;
    if (this.nameLength > 0) at = writeText(target, at, tags.name, name, this.nameLength);
    if (metadata !== undefined) at = writeBytes(target, at, tags.metadata, metadata);
    if (done) {
      target[at] = tags.done;
      target[at + 1] = 1;
      at += 2;
    }
    if (result === undefined) return at;
    return writeBytes(target, at, tags[result.kind], result.value);
  }
}

/** An encoded google.longrunning.ListOperationsResponse. */
export class EncodedOperationList implements WireMessage {
  readonly byteLength: number;

  private readonly unreachable: readonly Uint8Array[];

  /** @param nextPageToken ASCII; empty at the end of the list. */
  constructor(
    private readonly operations: readonly EncodedOperation[],
    private readonly nextPageToken: string,
    unreachable: readonly string[] = [],
  ) {
    let length = nextPageToken === "" ? 0 : fieldLength(nextPageToken.length);
    for (const { byteLength } of operations) length += fieldLength(byteLength);
    this.unreachable = unreachable.map((place) => utf8.encode(place));
    for (const { byteLength } of this.unreachable) length += fieldLength(byteLength);
    this.byteLength = length;
  }

  writeTo(target: Uint8Array, start: number): number {
    const { operations, nextPageToken } = this;
    let at = start;
    for (const operation of operations) {
      at = operation.writeTo(target, writeHead(target, at, tags.operations, operation.byteLength));
    }
    if (nextPageToken !== "") {
      at = writeText(target, at, tags.nextPageToken, nextPageToken, nextPageToken.length);
    }
    for (const place of this.unreachable) at = writeBytes(target, at, tags.unreachable, place);
    return at;
  }
}

function tagOf({ number }: { readonly number: number }): number {
  return (number << 3) | lengthDelimited;
}

/** Returns the length of a field with content of this length, including its tag and its length. */
function fieldLength(contentLength: number): number {
  let length = 2 + contentLength;
  for (let left = contentLength >>> 7; left > 0; left >>>= 7) length += 1;
  return length;
}

function writeHead(target: Uint8Array, start: number, tag: number, contentLength: number): number {
  let at = start;
  target[at++] = tag;
  let left = contentLength;
  for (; left > 0x7f; left >>>= 7) target[at++] = (left & 0x7f) | 0x80;
  target[at++] = left;
  return at;
}

function writeBytes(target: Uint8Array, start: number, tag: number, content: Uint8Array): number {
  const at = writeHead(target, start, tag, content.byteLength);
  target.set(content, at);
  return at + content.byteLength;
}

/** @param length The length of the text in UTF-8. */
function writeText(
  target: Uint8Array,
  start: number,
  tag: number,
  text: string,
  length: number,
): number {
  const at = writeHead(target, start, tag, length);
  utf8.encodeInto(text, target.subarray(at));
  return at + length;
}

/** Text whose UTF-8 has one byte for each character. Names usually are. */
const printableAscii = /^[ -~]*$/;

function utf8Length(text: string): number {
  return printableAscii.test(text) ? text.length : utf8.encode(text).length;
}
