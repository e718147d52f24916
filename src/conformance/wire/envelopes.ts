/** One length-prefixed frame of gRPC and gRPC-Web. */
export interface Frame {
  readonly flags: number;
  readonly data: Uint8Array;
}

/** Returns the bytes of a frame: its flags, its length and its data. */
export function frameBytes(data: Uint8Array, flags = 0): Uint8Array {
  const bytes = new Uint8Array(5 + data.length);
  bytes[0] = flags;
  new DataView(bytes.buffer).setUint32(1, data.length);
  bytes.set(data, 5);
  return bytes;
}

/**
 * Returns the frames of a body.
 *
 * @throws Error if the body ends within a frame.
 */
export function framesOf(body: Uint8Array): Frame[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const frames: Frame[] = [];
  for (let at = 0; at < body.length; ) {
    const length = at + 5 <= body.length ? view.getUint32(at + 1) : Number.POSITIVE_INFINITY;
    if (at + 5 + length > body.length) throw new Error("the body ends within a frame");
    frames.push({ flags: view.getUint8(at), data: body.subarray(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  return frames;
}
