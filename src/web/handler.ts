import type { ContextValues } from "@connectrpc/connect";
import { isPromise, type MaybePromise } from "../internal/is-promise.js";

/**
 * Serves one feature over HTTP beside the RPCs of a server: a REST gateway, a page, a protocol
 * of its own. `createServer`, `createWebHandler` and `createNodeListener` mount it; it knows
 * none of them.
 *
 * Returns undefined, at once or later, if the request's path is not this handler's: the next
 * handler is asked then. A handler that has begun to read the body must respond. If it rejects
 * with a ConnectError, that error is the response; any other rejection is logged, and the
 * client sees INTERNAL.
 */
export type Handler = (
  request: HandlerRequest,
) => Promise<HandlerResponse | undefined> | HandlerResponse | undefined;

/** An HTTP request. Its expensive parts are created when they are first read. */
export interface HandlerRequest {
  /** "1.0", "1.1" or "2.0"; "" if the platform does not say. */
  readonly httpVersion: string;
  /** In upper case. */
  readonly method: string;
  /** Absolute. Its path is as the client sent it: dots and escapes are not resolved. */
  readonly url: string;
  /** The path of `url` as the client sent it, without the query. */
  readonly path: string;
  /**
   * The bytes of the body, once; null if the request has no body. The server limits the time that
   * they take, and the handler their number.
   */
  readonly body: AsyncIterable<Uint8Array> | null;
  /** Values for the contexts of RPCs that the request leads to; undefined for none. */
  readonly contextValues: ContextValues | undefined;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** The value of a header, by its name in lower case; null if the request lacks it. */
  headerOf(name: string): string | null;
  /** All headers, in a new object that the caller may change. */
  copyHeaders(): Headers;
}

/** An HTTP response. */
export interface HandlerResponse {
  readonly status: number;
  /** The headers by names in lower case. A list is sent as several fields, as `set-cookie` needs. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  /**
   * Text is sent as UTF-8. An iterable is read as fast as the client takes its chunks, and ended
   * by its `return` if the client goes away. Undefined for no body.
   */
  readonly body?: string | Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array> | undefined;
  /** Read when the body has ended; only Node's servers can send it. Default: none. */
  readonly trailer?: Headers | undefined;
}

/** An error of a handler that the client must not see. */
export interface HandlerFailure {
  readonly kind: "handler-failed";
  /** The path of the request, without the query. */
  readonly path: string;
  readonly cause: unknown;
}

/**
 * Returns the response of the first handler that has one; undefined if no handler serves the path.
 * Returns it synchronously if the handler does.
 *
 * @throws The error that a handler throws or rejects with.
 */
export function firstResponse(
  handlers: readonly Handler[],
  request: HandlerRequest,
): MaybePromise<HandlerResponse | undefined> {
  for (const [index, handler] of handlers.entries()) {
    const responded = handler(request);
    // Most handlers return undefined synchronously for a path that they do not serve.
    if (responded === undefined) continue;
    if (!isPromise(responded)) return responded;
    const others = handlers.slice(index + 1);
    if (others.length === 0) return responded;
    return responded.then((response) => response ?? firstResponse(others, request));
  }
  return undefined;
}
