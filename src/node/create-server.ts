import { once, setMaxListeners } from "node:events";
import { createServer as createHttp1Server } from "node:http";
import {
  constants,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { systemClock } from "../internal/clock.js";
import {
  afterGraceMs,
  type CloseOptions,
  type ClosingSteps,
  createClosing,
} from "../internal/closing.js";
import { logHookOf } from "../internal/event-log.js";
import { notifySafely } from "../internal/notify-safely.js";
import { inRange, longestMs } from "../internal/option-bounds.js";
import { createRoutes } from "../web/routes.js";
import { createAllowedHosts } from "./allowed-hosts.js";
import { createDispatch } from "./dispatch.js";
import { portClosing } from "./errors.js";
import { cutOff, type Exchange, pathOf, wasCutOff } from "./exchange.js";
import { createFastPath } from "./fast-path.js";
import { createHttp2Sessions } from "./http2-sessions.js";
import { createPipelining } from "./pipelining.js";
import { createPort } from "./port.js";
import { createReceivedBytes } from "./received-bytes.js";
import type { RequestRecord, ServerEvent } from "./server-events.js";
import { resolveLimits } from "./server-limits.js";
import type { ListenOptions, Server, ServerAddress, ServerOptions } from "./server-options.js";

/** Node's arguments for a new stream after its headers. Node's types omit the second. */
type StreamRest = [flags: number, rawHeaders?: readonly string[]];

/** The longest time from the end of the grace until connections are cut, in milliseconds. */
const handOverMs = afterGraceMs - 100;

/**
 * Makes a server with health and reflection on one port. It serves gRPC, gRPC-Web, Connect and the
 * paths of its handlers, over HTTP/1.1 and HTTP/2, in plaintext or with TLS.
 *
 * @throws RangeError for an option out of its bounds.
 * @example
 * const server = createServer({
 *   operations,
 *   routes: (router) => router.service(Operations, operations.service),
 * });
 * const { url } = await server.listen({ host: "127.0.0.1", port: 8080 });
 * process.once("SIGTERM", () => server.close());
 */
export function createServer(options: ServerOptions): Server {
  const limits = resolveLimits(options.limits ?? {});
  const logHook = logHookOf(options.log);
  const log = (event: ServerEvent) => notifySafely(logHook, (to) => to(event));
  const shutdown = new AbortController();
  // Every call adds a listener while it runs. Above ten listeners Node would warn of a leak.
  setMaxListeners(0, shutdown.signal);
  const acceptCompression = options.acceptCompression ?? [compressionGzip, compressionBrotli];
  const routes = createRoutes({ ...options, acceptCompression }, shutdown.signal);
  const { health } = routes;
  const received = createReceivedBytes(limits);
  const hosts = createAllowedHosts(options.allowedHosts);
  const dispatch = createDispatch(options, limits, routes, received, hosts, log);
  const pipelining = createPipelining(limits.maxPipelined, () => {
    if (isDraining) http1.closeIdleConnections();
  });
  const sessions = createHttp2Sessions(limits);
  /** Whether connections that are open now should end with their last call. */
  let isDraining = false;
  /** Whether the server no longer accepts connections. */
  let isClosing = false;

  const { onRequest } = options;
  const serve = (exchange: Exchange) => {
    if (onRequest !== undefined)
      record(exchange, (record) => notifySafely(onRequest, (to) => to(record)));
    dispatch(exchange)?.catch((cause: unknown) => {
      log({ kind: "handler-failed", path: pathOf(exchange), cause });
      cutOff(exchange);
    });
  };

  // Neither server listens, because the port hands them their connections.
  const http1 = createHttp1Server(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      // Bodies have separate time limits (`bodyTimeoutMs`, `pauseTimeoutMs`).
      requestTimeout: 0,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: Math.ceil(
        Math.max(50, Math.min(limits.headersTimeoutMs / 4, 5000)),
      ),
    },
    (request, response) => {
      if (isDraining) response.shouldKeepAlive = false;
      pipelining.add(request, response, () => serve({ version: 1, request, response }));
    },
  );
  // Node starts the clock of the headers' timeout when a server begins to listen.
  http1.emit("listening");
  const http2 = createHttp2Server({
    maxSessionInvalidFrames: 100,
    maxSessionMemory: Math.ceil(limits.maxSessionBytes / 1_000_000),
    settings: {
      enablePush: false,
      maxConcurrentStreams: limits.maxStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
    },
  });
  // Makes a request and a response from a stream for which the fast path is not used. This server
  // does not listen.
  const http2Requests = createHttp2Server((request, response) =>
    serve({ version: 2, request, response }),
  );
  const fastPath =
    options.fastPath === false
      ? () => false
      : createFastPath(options, limits, routes, received, hosts, log);
  http2.on("stream", (stream, headers, ...rest: StreamRest) => {
    // Node counts the bytes of headers only once the client has acknowledged the server's settings.
    const isUnbounded = stream.session?.pendingSettingsAck === true;
    if (isUnbounded && headerBytes(rest[1] ?? []) > limits.maxHeaderBytes) {
      stream.respond({ ":status": 431 }, { endStream: true });
      stream.close(constants.NGHTTP2_NO_ERROR);
    } else if (!fastPath(stream, headers, rest[1])) {
      http2Requests.emit("stream", stream, headers, ...rest);
    } else if (onRequest !== undefined) {
      recordStream(stream, headers, (record) => notifySafely(onRequest, (to) => to(record)));
    }
  });
  http2.on("session", (session) => {
    if (isClosing) session.close();
    else sessions.add(session);
  });
  http2.on("sessionError", (cause) => log({ kind: "connection-failed", cause }));

  const port = createPort(
    options.tls,
    limits,
    {
      http1: (socket) => void http1.emit("connection", socket),
      http2: (socket) => void http2.emit("connection", socket),
    },
    log,
  );

  options.operations?.draining?.addEventListener("abort", () => health?.drain());
  const shutDownOperations = async (closeOptions: CloseOptions) => {
    try {
      await options.operations?.shutdown(closeOptions);
    } catch (cause) {
      log({ kind: "shutdown-failed", cause });
    }
  };
  let closeOptions: Required<CloseOptions>;
  let operationsClosed = Promise.resolve();
  let portClosed: Promise<void> | undefined;
  let isClosed = false;
  const closePort = () => {
    portClosed ??= new Promise<void>((resolve) => {
      health?.close();
      isClosing = true;
      // Node also calls this function, with an error, if the server never listened.
      port.server.close(() => {
        isClosed = true;
        resolve();
      });
      port.dropUndecided();
      http1.close();
      endConnections();
    });
    return portClosed;
  };
  /** Has every connection end with its last call, so that the client connects to another replica. */
  const endConnections = () => {
    isDraining = true;
    for (const response of pipelining.responses) {
      if (!response.headersSent) response.shouldKeepAlive = false;
    }
    sessions.goAway();
  };
  const steps: ClosingSteps = {
    notReady() {
      health?.drain();
      operationsClosed = shutDownOperations(closeOptions);
    },
    async drain() {
      endConnections();
      await operationsClosed;
      await closePort();
    },
    async handOver() {
      await operationsClosed;
      const closed = closePort();
      if (!isClosed) shutdown.abort(portClosing());
      await closed;
    },
    async close() {
      const closed = closePort();
      if (!isClosed) {
        log({ kind: "connections-cut", connections: port.sockets.size });
        for (const socket of port.sockets) socket.destroy();
      }
      await closed;
    },
  };
  const closing = createClosing(systemClock, steps, handOverMs);

  return {
    health,
    async listen({ host = "127.0.0.1", port: portNumber = 0 }: ListenOptions = {}) {
      inRange("port", portNumber, 0, 65_535);
      port.server.listen(portNumber, host);
      // The promise rejects if the error comes before "listening".
      await once(port.server, "listening");
      const address = port.server.address();
      if (typeof address === "object" && address !== null) hosts.listening(address.address);
      return addressOf(address, host, options.tls !== undefined);
    },
    setTls: (tls) => port.setTls(tls),
    async close({ graceMs = 10_000, drainDelayMs = 0 } = {}) {
      closeOptions = {
        graceMs: inRange("graceMs", graceMs, 0, longestMs),
        drainDelayMs: inRange("drainDelayMs", drainDelayMs, 0, graceMs),
      };
      // A later call may also shorten the grace period of the operations.
      if (closing.state !== "serving") void shutDownOperations(closeOptions);
      await closing.close(closeOptions);
    },
  };
}

function record(exchange: Exchange, onRequest: (record: RequestRecord) => void): void {
  const startMs = performance.now();
  const { request, response } = exchange;
  // A closed socket has no address.
  const { remoteAddress } = request.socket;
  response.once("close", () => {
    onRequest({
      method: request.method ?? "",
      path: pathOf(exchange),
      httpVersion: request.httpVersion,
      status: response.statusCode,
      durationMs: performance.now() - startMs,
      aborted: wasCutOff(exchange),
      remoteAddress,
    });
  });
}

/** Calls `onRequest` when a stream closes that was served without a request and a response object. */
function recordStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  onRequest: (record: RequestRecord) => void,
): void {
  const startMs = performance.now();
  const remoteAddress = stream.session?.socket.remoteAddress;
  stream.once("close", () => {
    onRequest({
      method: headers[":method"] ?? "",
      path: headers[":path"] ?? "",
      httpVersion: "2.0",
      // gRPC sends its own status in the trailers.
      status: 200,
      durationMs: performance.now() - startMs,
      aborted: stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR,
      remoteAddress,
    });
  });
}

/** The size of a header list (RFC 9113, section 6.5.2). */
function headerBytes(rawHeaders: readonly string[]): number {
  return rawHeaders.reduce((bytes, text) => bytes + Buffer.byteLength(text) + 16, 0);
}

function addressOf(address: unknown, host: string, isTls: boolean): ServerAddress {
  if (address === null || typeof address !== "object" || !("port" in address)) {
    throw new TypeError("the server has no port");
  }
  const port = Number(address.port);
  const authority = host.includes(":") ? `[${host}]` : host;
  return { host, port, url: `${isTls ? "https" : "http"}://${authority}:${port}` };
}
