import type { SecureContextOptions, TlsOptions } from "node:tls";
import type { ContextValues } from "@connectrpc/connect";
import type { Health } from "../health/create-health.js";
import type { CloseOptions } from "../internal/closing.js";
import type { Logger } from "../internal/event-log.js";
import type { CorsOptions } from "../web/cors.js";
import type { RouteOptions } from "../web/routes.js";
import type { Exchange } from "./exchange.js";
import type { RequestRecord, ServerEvent } from "./server-events.js";
import type { ServerLimits } from "./server-limits.js";

/**
 * Options of `createServer`. Compression is gzip and brotli unless `acceptCompression` is set.
 */
export interface ServerOptions extends RouteOptions {
  /**
   * Shut down by `close`, before the port closes. An `OperationsServer` is one.
   * Default: none.
   */
  operations?: Drainable | undefined;
  /** Serve TLS, with these certificates; ALPN decides on HTTP/2. Default: plaintext. */
  tls?: Omit<TlsOptions, "ALPNProtocols" | "ALPNCallback"> | undefined;
  /** The web pages of other origins that may call. Default: none may. */
  cors?: CorsOptions | undefined;
  /**
   * Host names that requests may be for, in addition to the loopback ones ("localhost",
   * "127.0.0.1", "[::1]"), without a port; "*" for all. Any other host is PERMISSION_DENIED, which
   * protects a server on a loopback address from web pages by DNS rebinding. Default: none if the
   * server listens on a loopback address, "*" otherwise.
   */
  allowedHosts?: readonly string[] | "*" | undefined;
  /** Limits on the cost of one client. */
  limits?: ServerLimits | undefined;
  /** Values for the handlers' and interceptors' contexts, per request. Default: none. */
  contextValues?: ((request: Exchange["request"]) => ContextValues) | undefined;
  /**
   * Called with each problem of the server, or a logger (pino, `console`) that `createLog` of
   * `connect-longrunning/server` writes to. Default: one line for each event on standard error,
   * without those that any client can cause.
   */
  log?: ((event: ServerEvent) => void) | Logger | undefined;
  /** Called for each request when its response has ended. Default: none. */
  onRequest?: ((record: RequestRecord) => void) | undefined;
}

/** A server whose work can end before `close` closes the port. An `OperationsServer` is one. */
export interface Drainable {
  /** Aborts when its shutdown begins: health is NOT_SERVING from then on. Default: `close` decides. */
  readonly draining?: AbortSignal | undefined;
  /** Shuts it down. May be called again, to shorten the grace. */
  shutdown(options?: CloseOptions): Promise<void>;
}

/** The address on which a server listens. All fields are optional. */
export interface ListenOptions {
  /** Default: "127.0.0.1", which only this machine can reach. "0.0.0.0" and "::" are for all. */
  host?: string | undefined;
  /** The port, from 0 to 65,535; 0 is any free one. Default: 0. */
  port?: number | undefined;
}

/** The address at which clients reach a server. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  /** `http://{host}:{port}`, or `https://`. */
  readonly url: string;
}

/** A server with one port for every protocol. */
export interface Server {
  /** Says which services take calls; undefined if the options say `false`. */
  readonly health: Health | undefined;
  /**
   * Starts to listen. Can be called once.
   *
   * @throws RangeError if the port is out of bounds. Node's error if the address is in use or
   *   not available.
   */
  listen(options?: ListenOptions): Promise<ServerAddress>;
  /**
   * Replaces certificates that were renewed, for clients with and without a server name (SNI). The
   * options that are not given stay as they were. Open connections go on with the old certificate, and
   * new ones get the new certificate. An `SNICallback` decides before it.
   *
   * @throws TypeError if the server was created without `tls`. Node's error if a certificate or key is
   *   not valid or they do not match; the old certificate stays then.
   * @example
   * server.setTls({ cert: await readFile("tls.crt"), key: await readFile("tls.key") });
   */
  setTls(tls: SecureContextOptions): void;
  /**
   * Closes the server in order:
   *
   * 1. Health shows NOT_SERVING. For `drainDelayMs` all calls are still answered.
   * 2. The operations shut down while the port still answers: starts are refused, waits are held
   *    until their operation ends. Connections end with their last call (GOAWAY,
   *    `Connection: close`), so clients connect to another replica.
   * 3. When the operations have shut down, the server no longer accepts connections. The calls under way
   *    have the rest of the grace. Then their signals abort with UNAVAILABLE.
   * 4. Open connections are cut at the latest one second after the grace.
   *
   * Calling it again joins the first call, and shortens its grace if the new one is over earlier.
   *
   * @throws RangeError for a time out of its bounds.
   */
  close(options?: CloseOptions): Promise<void>;
}
