import { Code, ConnectError } from "@connectrpc/connect";

/** A message of gRPC and what is said of it (PROTOCOL-HTTP2.md, "Length-Prefixed-Message"). */
export interface Envelope {
  readonly isCompressed: boolean;
  readonly data: Uint8Array;
}

/** One byte of flags and four of the message's length come before each. */
const headLength = 5;
const compressedFlag = 1;

/** The bytes of one message, enveloped. */
export function encodeEnvelope({ isCompressed, data }: Envelope): Buffer {
  const bytes = Buffer.allocUnsafe(headLength + data.byteLength);
  bytes[0] = isCompressed ? compressedFlag : 0;
  bytes.writeUInt32BE(data.byteLength, 1);
  bytes.set(data, headLength);
  return bytes;
}

/** Puts messages together from chunks as they arrive. */
export interface EnvelopeReader {
  /**
   * The messages that this chunk completes. Their bytes are copies: a field of a message must
   * not keep a buffer of the connection alive.
   *
   * @throws ConnectError `Code.ResourceExhausted` for a message of more than `readMaxBytes`
   *   bytes, as soon as its length is known.
   */
  read(chunk: Uint8Array): readonly Envelope[];
  /** Whether there are bytes of a message that is not complete; its head alone is none. */
  isIncomplete(): boolean;
}

export function createEnvelopeReader(readMaxBytes: number): EnvelopeReader {
  const head = Buffer.alloc(headLength);
  let headBytes = 0;
  let data: Uint8Array | undefined;
  let dataBytes = 0;

  return {
    read(chunk) {
      const envelopes: Envelope[] = [];
      let at = 0;
      for (;;) {
        if (data === undefined) {
          const taken = Math.min(headLength - headBytes, chunk.byteLength - at);
          head.set(chunk.subarray(at, at + taken), headBytes);
          headBytes += taken;
          at += taken;
          if (headBytes < headLength) return envelopes;
          const length = head.readUInt32BE(1);
          if (length > readMaxBytes) throw tooLarge(length, readMaxBytes);
          data = new Uint8Array(length);
          dataBytes = 0;
        }
        const taken = Math.min(data.byteLength - dataBytes, chunk.byteLength - at);
        data.set(chunk.subarray(at, at + taken), dataBytes);
        dataBytes += taken;
        at += taken;
        if (dataBytes < data.byteLength) return envelopes;
        envelopes.push({ isCompressed: (head.readUInt8(0) & compressedFlag) !== 0, data });
        data = undefined;
        headBytes = 0;
      }
    },
    isIncomplete: () => (data === undefined ? headBytes > 0 : dataBytes > 0),
  };
}

/** In the words of Connect, which says the same of a message that it reads itself. */
function tooLarge(length: number, readMaxBytes: number): ConnectError {
  return new ConnectError(
    `message size ${length} is larger than configured readMaxBytes ${readMaxBytes}`,
    Code.ResourceExhausted,
  );
}
