import type { TlsOptions } from "node:tls";
import type { ConnectRouter, ConnectRouterOptions, ContextValues } from "@connectrpc/connect";
import type { Health, HealthOptions } from "../health/create-health.js";
import type { ReflectionOptions } from "../reflection/create-reflection.js";
import type { CorsOptions } from "./cors.js";
import type { Exchange } from "./exchange.js";
import type { FetchHandler } from "./fetch-handler.js";
import type { RestFace } from "./rest-face-handler.js";
import type { RequestRecord, ServerEvent } from "./server-events.js";
import type { ServerLimits } from "./server-limits.js";

/**
 * What a server serves, and how. Connect's own options hold for all routes, with one default
 * of ours: `readMaxBytes`, the bytes of one message, is 4 MiB (4,194,304), as in most gRPC
 * servers. Compression is gzip and brotli unless `acceptCompression` says otherwise.
 */
export interface ServerOptions extends Omit<ConnectRouterOptions, "shutdownSignal"> {
  /** Registers the services: `(router) => router.service(Operations, operations.service)`. */
  routes: (router: ConnectRouter) => void;
  /**
   * Makes the REST face of the router, once it has all its services: `(router) =>
   * createRestHandler(router, { rules })`. It has the requests whose path, as it came, matches
   * a rule of its own, and sees bodies also where the web's `Request` allows none. Bodies are
   * held to its own `readMaxBytes`. Default: none.
   */
  rest?: ((router: ConnectRouter) => RestFace) | undefined;
  /**
   * Has the requests whose path is none of the routes' and not the REST face's. Bodies are held to `readMaxBytes`.
   * Default: such requests are answered with 404, or UNIMPLEMENTED in gRPC.
   */
  fetch?: FetchHandler | undefined;
  /**
   * The health service (grpc.health.v1), in which all services of the routes are SERVING until
   * `close`, or `Server.health`, says otherwise; `false` for none. Default: as
   * `createHealth` has it.
   */
  health?: HealthOptions | false | undefined;
  /**
   * The reflection service (grpc.reflection.v1), which shows all services to clients that have
   * no .proto files; `false` for none. Default: with no files besides those of the services.
   */
  reflection?: ReflectionOptions | false | undefined;
  /**
   * Shut down by `close`, before the port closes. An `OperationsServer` is one.
   * Default: none.
   */
  operations?: Drainable | undefined;
  /** Serve TLS, with these certificates; ALPN decides on HTTP/2. Default: plaintext. */
  tls?: Omit<TlsOptions, "ALPNProtocols" | "ALPNCallback"> | undefined;
  /** Default: pages of other origins may not call. */
  cors?: CorsOptions | undefined;
  /** What one client may cost the server. */
  limits?: ServerLimits | undefined;
  /** Values for the handlers' and interceptors' contexts, per request. Default: none. */
  contextValues?: ((request: Exchange["request"]) => ContextValues) | undefined;
  /**
   * Answer unary gRPC calls straight from the events of their streams, and calls of the REST face
   * without Connect's handlers, which takes a fraction of the time; `false` has those answer them
   * as they do all other calls. docs/reference/fast-path.md lists what differs. Default: true.
   */
  leanGrpc?: boolean | undefined;
  /** Hears of what went wrong on this side. Default: prints it to standard error. */
  log?: ((event: ServerEvent) => void) | undefined;
  /** Hears of each request when its answer has ended. Default: nobody does. */
  onRequest?: ((record: RequestRecord) => void) | undefined;
}

/** What finishes its work within a time, in milliseconds. */
export interface Drainable {
  shutdown(options?: { graceMs?: number | undefined }): Promise<void>;
}

/** Where a server listens. Every field may be left out. */
export interface ListenOptions {
  /** Default: "127.0.0.1", which only this machine can reach. "0.0.0.0" and "::" are for all. */
  host?: string | undefined;
  /** From 0 to 65,535; 0 is any free one. Default: 0. */
  port?: number | undefined;
}

/** Where a server is reached. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  /** `http://{host}:{port}`, or `https://`. */
  readonly url: string;
}

/** One port for every protocol. */
export interface Server {
  /** Says which services take calls; undefined where the options said `false`. */
  readonly health: Health | undefined;
  /**
   * Begin to listen; once.
   *
   * @throws RangeError for a port out of its bounds; Node's error where the address is in
   *   use or not to be had.
   */
  listen(options?: ListenOptions): Promise<ServerAddress>;
  /**
   * Close in order: health shows NOT_SERVING; the operations finish, while the port still
   * answers; then nothing new is accepted, and calls under way have `graceMs` milliseconds (default: 10,000) to end. Then
   * their signals abort with UNAVAILABLE, and half a second later what is still open is cut.
   * Calling it again joins the first call.
   *
   * @throws RangeError for a grace out of its bounds.
   */
  close(options?: { graceMs?: number | undefined }): Promise<void>;
}
