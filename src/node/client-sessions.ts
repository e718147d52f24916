import { constants, type Http2Session } from "node:http2";
import type { GrpcTransportOptions } from "@connectrpc/connect-node";

/** The options of a transport that say when its connection is verified by a ping. */
type PingOptions = Pick<GrpcTransportOptions, "pingIntervalMs" | "pingTimeoutMs">;

/**
 * Returns the options with the defaults of `createGrpcTransport`, in milliseconds. While a call is
 * open, a ping follows 30 s without a byte from the server, and precedes a call after 30 s without
 * one. A connection without a response within 5 s is closed. Servers of gRPC close the connection of
 * a client that sends three pings without a response in between, which calls below 90 s never cause.
 */
export function withPingDefaults<Options extends PingOptions>(
  options: Options,
): Options & Required<PingOptions> {
  const { pingIntervalMs = 30_000, pingTimeoutMs = 5000 } = options;
  return { ...options, pingIntervalMs, pingTimeoutMs };
}

const guarded = new WeakSet<Http2Session>();

/**
 * Keeps the error of a session that has ended from ending the process. Connect's session manager
 * removes its listener when a call comes between the end of a session and its "error" event.
 */
export function guardSession(session: Http2Session): void {
  if (guarded.has(session)) return;
  guarded.add(session);
  session.on("error", () => undefined);
}

/** Sessions with a ping in progress. */
const verifying = new WeakSet<Http2Session>();

/**
 * Pings a session on which a call has exceeded its deadline, and destroys it if no response comes
 * within `timeoutMs`. A middlebox can drop all packets of one connection while new connections
 * succeed: calls on that session would time out until TCP gives up, after 15 minutes.
 */
export function verifySession(session: Http2Session, timeoutMs: number): void {
  if (session.closed || session.destroyed || verifying.has(session)) return;
  verifying.add(session);
  const timer = setTimeout(() => session.destroy(undefined, constants.NGHTTP2_CANCEL), timeoutMs);
  timer.unref();
  session.ping(() => {
    clearTimeout(timer);
    verifying.delete(session);
  });
}
