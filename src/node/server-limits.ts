import { inRange, longestMs } from "../internal/option-bounds.js";

/** Limits on the cost of one client: whole numbers. Every field may be left out. */
export interface ServerLimits {
  /** Connections at a time, at least 1; further ones are closed at once. Default: 10,000. */
  maxConnections?: number | undefined;
  /** Calls at a time on one HTTP/2 connection, at least 1; further ones are refused. Default: 1000. */
  maxStreams?: number | undefined;
  /** Bytes of a request's path and headers, at least 1024. Default: 16,384. */
  maxHeaderBytes?: number | undefined;
  /**
   * Memory that one HTTP/2 connection may hold, in bytes, at least 1,000,000: streams, data that is
   * queued to be sent, frames to be acknowledged. Above it, new streams are refused. Default: 64,000,000.
   */
  maxSessionBytes?: number | undefined;
  /**
   * Bytes of requests that are being received on one connection, at least 1. A request beyond
   * them is refused with RESOURCE_EXHAUSTED. Default: 67,108,864 (64 MiB).
   */
  maxConnectionRequestBytes?: number | undefined;
  /** The limit of `maxConnectionRequestBytes` for all connections together. Default: 268,435,456 (256 MiB). */
  maxRequestBytes?: number | undefined;
  /**
   * HTTP/1.1 requests of one connection that are being answered, at least 1; pipelined requests
   * beyond them wait. Default: 8.
   */
  maxPipelined?: number | undefined;
  /**
   * How long a client may take, in milliseconds, for a TLS handshake, for the first bytes of a
   * connection, and for the headers of an HTTP/1.1 request. Default: 15,000.
   */
  headersTimeoutMs?: number | undefined;
  /**
   * How long a client may take for the whole body of a request that is one message, in
   * milliseconds. Default: 60,000.
   */
  bodyTimeoutMs?: number | undefined;
  /** Longest pause in the body of a request that streams, in milliseconds. Default: 600,000. */
  pauseTimeoutMs?: number | undefined;
  /** How long a client may leave a piece of an answer unread, in milliseconds. Default: 60,000. */
  sendTimeoutMs?: number | undefined;
  /**
   * After this time without a call, in milliseconds, a connection is closed (Node adds a second
   * for HTTP/1.1). One that has a call open is pinged (HTTP/2), and destroyed where nothing comes
   * back in `pingTimeoutMs`; with HTTP/1.1 TCP's keep-alive begins, which takes some minutes.
   * Default: 120,000, which is more than most load balancers keep an idle connection.
   */
  idleTimeoutMs?: number | undefined;
  /** See `idleTimeoutMs`. Default: 20,000. */
  pingTimeoutMs?: number | undefined;
}

/** The limits with all defaults filled in. */
export type ResolvedLimits = { readonly [Limit in keyof ServerLimits]-?: number };

/** @throws RangeError for a limit out of its bounds. */
export function resolveLimits(limits: ServerLimits): ResolvedLimits {
  return {
    maxConnections: whole("maxConnections", limits.maxConnections ?? 10_000, 1),
    maxStreams: whole("maxStreams", limits.maxStreams ?? 1000, 1, 2 ** 31 - 1),
    maxHeaderBytes: whole("maxHeaderBytes", limits.maxHeaderBytes ?? 16_384, 1024, 2 ** 24),
    maxSessionBytes: whole("maxSessionBytes", limits.maxSessionBytes ?? 64_000_000, 1_000_000),
    maxConnectionRequestBytes: whole(
      "maxConnectionRequestBytes",
      limits.maxConnectionRequestBytes ?? 64 * 1024 * 1024,
      1,
    ),
    maxRequestBytes: whole("maxRequestBytes", limits.maxRequestBytes ?? 256 * 1024 * 1024, 1),
    maxPipelined: whole("maxPipelined", limits.maxPipelined ?? 8, 1),
    headersTimeoutMs: timeout("headersTimeoutMs", limits.headersTimeoutMs ?? 15_000),
    bodyTimeoutMs: timeout("bodyTimeoutMs", limits.bodyTimeoutMs ?? 60_000),
    pauseTimeoutMs: timeout("pauseTimeoutMs", limits.pauseTimeoutMs ?? 600_000),
    sendTimeoutMs: timeout("sendTimeoutMs", limits.sendTimeoutMs ?? 60_000),
    idleTimeoutMs: timeout("idleTimeoutMs", limits.idleTimeoutMs ?? 120_000),
    pingTimeoutMs: timeout("pingTimeoutMs", limits.pingTimeoutMs ?? 20_000),
  };
}

/** Zero would mean "no timeout" to Node, and a longer one than a timer holds "at once". */
function timeout(option: string, value: number): number {
  return whole(option, value, 1, longestMs);
}

/** Node refuses fractions, by names of its own. */
function whole(option: string, value: number, least: number, most?: number): number {
  if (Number.isInteger(value)) return inRange(option, value, least, most);
  throw new RangeError(`${option} must be a whole number, not ${value}`);
}
