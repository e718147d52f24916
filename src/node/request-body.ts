import type { ConnectError } from "@connectrpc/connect";
import { requestTimedOut } from "./errors.js";
import type { Exchange } from "./exchange.js";
import type { ReceivedBytes } from "./received-bytes.js";

/** The limits of a request's body. */
export interface BodyBounds {
  /** Time in milliseconds for the whole body, or for each piece of one that streams. */
  readonly timeoutMs: number;
  readonly isStreaming: boolean;
  /** Most bytes that count as being received: a handler keeps no more of them. */
  readonly maxKeptBytes: number;
}

/**
 * Iterates over the bytes of a request's body, once. Leaving the iteration keeps the connection
 * open, so that a response can still be sent. The time limit runs while the handler waits for
 * bytes.
 *
 * The iteration throws a ConnectError: `DeadlineExceeded` for a client that is too slow,
 * `ResourceExhausted` if too many bytes are being received. It throws Node's own error if the
 * client goes away.
 */
export function readBody(
  { request, response }: Exchange,
  bounds: BodyBounds,
  received: ReceivedBytes,
): AsyncIterableIterator<Uint8Array> {
  const connection = "stream" in request ? request.stream.session : request.socket;
  let counted = 0;
  /** Counts what came. A stream's handler keeps one message of it at most. */
  const count = (bytes: number) => {
    const counts = Math.min(bytes, bounds.maxKeptBytes - counted);
    if (counts <= 0) return;
    counted += counts;
    received.add(connection, counts);
  };
  const uncount = () => {
    received.remove(connection, counted);
    counted = 0;
  };
  response.once("close", uncount);
  const source: AsyncIterator<Uint8Array> = request.iterator({ destroyOnReturn: false });
  const { timeoutMs, isStreaming } = bounds;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let fault: ConnectError | undefined;
  let onFault: ((error: ConnectError) => void) | undefined;

  const fail = (error: ConnectError) => {
    fault = error;
    onFault?.(error);
  };
  const stop = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  const next = (): Promise<IteratorResult<Uint8Array>> =>
    new Promise((resolve, reject) => {
      if (fault !== undefined) {
        reject(fault);
        return;
      }
      timer ??= setTimeout(() => fail(requestTimedOut(timeoutMs)), timeoutMs);
      onFault = reject;
      source.next().then(
        (result) => {
          if (isStreaming || result.done === true) stop();
          try {
            if (result.done !== true) count(result.value.byteLength);
            else uncount();
            resolve(result);
          } catch (error) {
            stop();
            reject(error);
          }
        },
        (error: unknown) => {
          stop();
          reject(error);
        },
      );
    });
  return {
    next,
    async return() {
      stop();
      // The promise is not awaited, because a pending read ends only with the connection.
      source.return?.().catch(() => undefined);
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
