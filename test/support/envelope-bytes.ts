/** A message of gRPC with its five bytes before it (PROTOCOL-HTTP2.md). */
export function envelopeBytes(message: Uint8Array, flags = 0, length = message.byteLength): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** Bytes in pieces of these sizes, over and over until nothing is left. */
export function inPieces(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const size = Math.max(1, sizes[pieces.length % Math.max(1, sizes.length)] ?? bytes.byteLength);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}
