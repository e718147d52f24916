/**
 * The chunks of a web stream. Not every browser can iterate a ReadableStream. A loop that is left early
 * cancels the stream, which frees the connection behind it.
 */
export async function* streamChunks<T>(stream: ReadableStream<T>): AsyncGenerator<T, void> {
  const reader = stream.getReader();
  let isOver = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      isOver = done;
      if (done) return;
      yield value;
    }
  } finally {
    // A stream that broke rejects here with what the loop has thrown already.
    if (!isOver) await reader.cancel().catch(() => undefined);
    reader.releaseLock();
  }
}
