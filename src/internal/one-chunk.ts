/**
 * Returns a stream of these bytes. Connect's `createAsyncIterable` uses a generator that is
 * compiled for old engines, which took a twentieth of the time of a small request.
 */
export function oneChunk(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      let isDone = false;
      return {
        async next() {
          if (isDone) return { done: true, value: undefined };
          isDone = true;
          return { done: false, value: bytes };
        },
        async return() {
          isDone = true;
          return { done: true, value: undefined };
        },
      };
    },
  };
}
