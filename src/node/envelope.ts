import { messageTooLarge } from "../direct/direct-call.js";
import type { WireMessage } from "../internal/wire-message.js";

/** A message of gRPC and its flag (PROTOCOL-HTTP2.md, "Length-Prefixed-Message"). */
export interface Envelope<Data extends Uint8Array | WireMessage = Uint8Array> {
  readonly isCompressed: boolean;
  readonly data: Data;
}

/** One byte of flags and four of the message's length come before each. */
const headLength = 5;
const compressedFlag = 1;
const noBytes = Buffer.alloc(0);
/** No Buffer, as the bytes of a message are not. */
const noData = new Uint8Array();

/** Returns one message as gRPC frames it: the flag, the length and the bytes. */
export function encodeEnvelope({ isCompressed, data }: Envelope<Uint8Array | WireMessage>): Buffer {
  const bytes = Buffer.allocUnsafe(headLength + data.byteLength);
  bytes[0] = isCompressed ? compressedFlag : 0;
  bytes.writeUInt32BE(data.byteLength, 1);
  if (data instanceof Uint8Array) bytes.set(data, headLength);
  else data.writeTo(bytes, headLength);
  return bytes;
}

/** Assembles messages from chunks as the chunks arrive. */
export interface EnvelopeReader {
  /**
   * The messages that this chunk completes. Their bytes are copies: a field of a message must
   * not keep a buffer of the connection alive.
   *
   * @throws ConnectError `Code.ResourceExhausted` for a message of more than `readMaxBytes`
   *   bytes, as soon as its length is known.
   */
  read(chunk: Uint8Array): readonly Envelope[];
  /** Whether the reader holds bytes of an incomplete message. A complete head alone does not count. */
  isIncomplete(): boolean;
}

export function createEnvelopeReader(readMaxBytes: number): EnvelopeReader {
  return new ChunkReader(readMaxBytes);
}

/** A class, as each call has one: closures would be made anew for each. */
class ChunkReader implements EnvelopeReader {
  /** The first bytes of a head that came in pieces. Mostly it comes whole, and is read in place. */
  #head: Buffer = noBytes;
  #isCompressed = false;
  /** The length of the message that is being received. */
  #length = 0;
  /** The bytes so far; undefined between messages. */
  #data: Uint8Array | undefined;
  #dataBytes = 0;

  constructor(readonly readMaxBytes: number) {}

  read(chunk: Uint8Array): readonly Envelope[] {
    const envelopes: Envelope[] = [];
    let at = 0;
    for (;;) {
      if (this.#data === undefined) {
        const bodyAt = this.#readHead(chunk, at);
        if (bodyAt === undefined) return envelopes;
        at = bodyAt;
      }
      const taken = Math.min(this.#length - this.#dataBytes, chunk.byteLength - at);
      const data = this.#roomFor(this.#dataBytes + taken);
      data.set(chunk.subarray(at, at + taken), this.#dataBytes);
      this.#dataBytes += taken;
      at += taken;
      if (this.#dataBytes < this.#length) return envelopes;
      envelopes.push({ isCompressed: this.#isCompressed, data: data.subarray(0, this.#length) });
      this.#data = undefined;
    }
  }

  /** Returns the index in the chunk at which the message begins, or undefined if its head is incomplete. */
  #readHead(chunk: Uint8Array, at: number): number | undefined {
    const missing = headLength - this.#head.byteLength;
    const piece = chunk.subarray(at, at + missing);
    if (piece.byteLength === 0) return undefined;
    const head = this.#head.byteLength === 0 ? piece : Buffer.concat([this.#head, piece]);
    if (head.byteLength < headLength) {
      this.#head = Buffer.from(head);
      return undefined;
    }
    this.#head = noBytes;
    const [flags = 0, b3 = 0, b2 = 0, b1 = 0, b0 = 0] = head;
    const length = ((b3 << 24) | (b2 << 16) | (b1 << 8) | b0) >>> 0;
    if (length > this.readMaxBytes)
      throw messageTooLarge(length, { readMaxBytes: this.readMaxBytes });
    this.#isCompressed = (flags & compressedFlag) !== 0;
    this.#length = length;
    this.#data = noData;
    this.#dataBytes = 0;
    return at + missing;
  }

  /** The message's bytes so far, with room for `bytes`: a head alone reserves none. */
  #roomFor(bytes: number): Uint8Array {
    const before = this.#data ?? noData;
    if (before.byteLength >= bytes) return before;
    const room = pooledBytes(Math.min(this.#length, Math.max(bytes, 2 * before.byteLength)));
    room.set(before.subarray(0, this.#dataBytes));
    this.#data = room;
    return room;
  }

  isIncomplete(): boolean {
    return this.#data === undefined ? this.#head.byteLength > 0 : this.#dataBytes > 0;
  }
}

/**
 * Allocates bytes, from Node's pool if they are few, which saves an allocation for each message.
 * Returns a Uint8Array rather than a Buffer, because the bytes of a message are a Uint8Array.
 */
function pooledBytes(length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafe(length);
  return new Uint8Array(buffer, byteOffset, length);
}
