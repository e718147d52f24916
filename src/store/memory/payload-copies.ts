/**
 * Takes copies of payloads, many in one array: to make and to let go of an array of its own
 * for each takes longer than to copy what is in it.
 */
export interface PayloadCopies {
  /** A copy of the bytes of `source` from `start` to `end`. */
  copy(source: Uint8Array, start: number, end: number): Uint8Array;
}

/** @param chunkBytes How much is made room for at a time; a longer payload has an array of its own. */
export function createPayloadCopies(chunkBytes: number): PayloadCopies {
  let chunk = new Uint8Array(0);
  let used = 0;
  return {
    copy(source, start, end) {
      const length = end - start;
      if (length > chunkBytes) return source.slice(start, end);
      if (used + length > chunk.length) {
        chunk = new Uint8Array(chunkBytes);
        used = 0;
      }
      const copy = new Uint8Array(chunk.buffer, used, length);
      copy.set(new Uint8Array(source.buffer, source.byteOffset + start, length));
      used += length;
      return copy;
    },
  };
}
