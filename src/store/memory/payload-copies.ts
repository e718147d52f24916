/**
 * Copies payloads, many into one array. Allocating and freeing an array for each payload takes
 * longer than copying its content.
 */
export interface PayloadCopies {
  /** Copies a number of bytes from this word on. Words, because most payloads are a few dozen of them. */
  copy(source: Uint32Array, firstWord: number, byteLength: number): Uint8Array;
}

export const bytesPerWord = 4;

/** @param chunkWords How much is made room for at a time; a longer payload has an array of its own. */
export function createPayloadCopies(chunkWords: number): PayloadCopies {
  let chunk = new Uint32Array(0);
  let used = 0;
  return {
    copy(source, firstWord, byteLength) {
      const words = wordsOf(byteLength);
      if (used + words > chunk.length) {
        chunk = new Uint32Array(Math.max(words, chunkWords));
        used = 0;
      }
      // For few bytes, a loop is faster than `set` with a view of the source.
      for (let at = 0; at < words; at += 1) chunk[used + at] = source[firstWord + at] ?? 0;
      const copy = new Uint8Array(chunk.buffer, used * bytesPerWord, byteLength);
      used += words;
      return copy;
    },
  };
}

/** Returns the number of words for a number of bytes. */
export function wordsOf(byteLength: number): number {
  return Math.ceil(byteLength / bytesPerWord);
}
