import type { WireMessage } from "../internal/wire-message.js";
import { ListOperationsResponseSchema, type Operation, OperationSchema } from "../protos.js";
import type { AnswerForms } from "./both-forms.js";
import { operationMessage, type ShownOperation } from "./operation-message.js";

/** The wire type of what has a length (protobuf.dev/programming-guides/encoding). */
const lengthDelimited = 2;

const { name, metadata, done, error, response } = OperationSchema.field;
const { operations, nextPageToken } = ListOperationsResponseSchema.field;

/** All of these numbers are below 16, so that each tag is one byte. */
const tags = {
  name: tagOf(name),
  metadata: tagOf(metadata),
  done: done.number << 3,
  error: tagOf(error),
  response: tagOf(response),
  operations: tagOf(operations),
  nextPageToken: tagOf(nextPageToken),
};

const utf8 = new TextEncoder();

/** google.longrunning.Operation in its wire form: what is stored is copied as it is. */
export class OperationWire implements WireMessage {
  readonly byteLength: number;
  private readonly nameLength: number;

  constructor(private readonly shown: ShownOperation) {
    const { name, metadata, done, result } = shown;
    this.nameLength = utf8Length(name);
    this.byteLength =
      (this.nameLength === 0 ? 0 : fieldLength(this.nameLength)) +
      (metadata === undefined ? 0 : fieldLength(metadata.byteLength)) +
      (done ? 2 : 0) +
      (result === undefined ? 0 : fieldLength(result.value.byteLength));
  }

  writeTo(target: Uint8Array, start: number): number {
    const { name, metadata, done, result } = this.shown;
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

/** The forms of an answer that is one operation. */
export const operationForms: AnswerForms<ShownOperation, Operation> = {
  toMessage: operationMessage,
  toWire: (shown) => new OperationWire(shown),
};

/** google.longrunning.ListOperationsResponse in its wire form. */
export class OperationListWire implements WireMessage {
  readonly byteLength: number;

  /** @param nextPageToken ASCII; empty at the end of the list. */
  constructor(
    private readonly operations: readonly OperationWire[],
    private readonly nextPageToken: string,
  ) {
    let length = nextPageToken === "" ? 0 : fieldLength(nextPageToken.length);
    for (const { byteLength } of operations) length += fieldLength(byteLength);
    this.byteLength = length;
  }

  writeTo(target: Uint8Array, start: number): number {
    const { operations, nextPageToken } = this;
    let at = start;
    for (const operation of operations) {
      at = operation.writeTo(target, writeHead(target, at, tags.operations, operation.byteLength));
    }
    if (nextPageToken === "") return at;
    return writeText(target, at, tags.nextPageToken, nextPageToken, nextPageToken.length);
  }
}

function tagOf({ number }: { readonly number: number }): number {
  return (number << 3) | lengthDelimited;
}

/** A field of so many bytes with its tag and its length. */
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

/** @param length of the text in UTF-8. */
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

/** Text that takes as many bytes as it has characters: names are, as a rule. */
const printableAscii = /^[ -~]*$/;

function utf8Length(text: string): number {
  return printableAscii.test(text) ? text.length : utf8.encode(text).length;
}
