import { cutOff, type Exchange, isOver } from "./exchange.js";

/**
 * Returns the chunks of a response, for a writer that asks for the next one when the client has
 * taken the last. A client that leaves a chunk unread for `timeoutMs` milliseconds is cut off;
 * after the last chunk the time runs until the exchange is closed. Then the source is ended.
 *
 * @param timeoutMs Undefined for no limit.
 */
export function withSendTimeout(
  exchange: Exchange,
  chunks: AsyncIterable<Uint8Array>,
  timeoutMs: number | undefined,
): AsyncIterable<Uint8Array> {
  const { response } = exchange;
  const source = chunks[Symbol.asyncIterator]();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => clearTimeout(timer);
  response.once("close", () => {
    stop();
    // If the client closes the connection, a writer that waits for buffer space never reads again,
    // so its source would never end.
    source.return?.().catch(() => undefined);
  });
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        stop();
        const result = await source.next();
        // A handler may end after its client has closed the connection. Then no event would stop a
        // timer.
        if (timeoutMs !== undefined && !isOver(exchange)) {
          timer = setTimeout(() => cutOff(exchange), timeoutMs);
        }
        return result;
      },
      // `return` and `throw` are passed on, because Connect's handlers use them to detect that the
      // client did not read the response.
      throw: async (error: unknown) => (await source.throw?.(error)) ?? done,
      return: async () => (await source.return?.()) ?? done,
    }),
  };
}

const done = { done: true, value: undefined } as const;
