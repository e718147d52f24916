/**
 * Iterates over the chunks of a web stream, which not every browser can do by itself. Leaving the loop
 * early cancels the stream, which frees the connection behind it. `return()` does so at once, even
 * while a read is pending; a generator would wait for that read first.
 */
export function streamChunks<T>(stream: ReadableStream<T>): AsyncIterableIterator<T, void> {
  // The first step locks the stream, so a stream that is not iterated stays usable.
  let reader: ReadableStreamDefaultReader<T> | undefined;
  const over = { done: true, value: undefined } as const;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      reader ??= stream.getReader();
      const { done, value } = await reader.read();
      if (!done) return { done, value };
      reader.releaseLock();
      return over;
    },
    async return() {
      // If the stream broke, the cancellation rejects with the error that the loop has thrown
      // already.
      await (reader ?? stream).cancel().catch(() => undefined);
      return over;
    },
  };
}
