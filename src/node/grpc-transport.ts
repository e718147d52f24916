import type { Http2Session, IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextValues,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import {
  createGrpcTransport as createConnectGrpcTransport,
  type GrpcTransportOptions,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { runUnaryCall } from "../direct/connect-protocol.js";
import { sharedAccessor } from "../direct/shared-accessor.js";
import { asMessage, createClientFormat } from "./client-format.js";
import { verifySession, withPingDefaults } from "./client-sessions.js";
import { addToNodeHeaders, webHeaders } from "./node-headers.js";
import { callUnary } from "./unary-call.js";

/**
 * Creates a gRPC transport over HTTP/2 with the options of Connect's own. Callers and interceptors
 * see no difference, except in the cases that docs/reference/fast-path.md lists. Unary calls are read
 * from the events of their streams, which takes a fraction of the time. Connect's transport makes the
 * streaming calls.
 *
 * All calls share one connection. The first call opens it, and the next call after its loss opens
 * another. If the connection fails before the response is complete, the call fails with UNAVAILABLE.
 *
 * The connection is verified by pings, so that a call does not hang on a connection that has died in
 * silence: `pingIntervalMs` (default: 30,000) without a byte from the server while a call is open or
 * before the next call, and after each call that exceeded its deadline. A connection that does not
 * respond within `pingTimeoutMs` (default: 5000) is closed. A `sessionManager` has its own defaults.
 *
 * @throws ConnectError if an option is out of Connect's bounds.
 * @throws TypeError if `baseUrl` is not a URL.
 * @example
 * const transport = createGrpcTransport({ baseUrl: "http://localhost:8080" });
 * const operations = createOperationsClient(transport);
 */
export function createGrpcTransport(given: GrpcTransportOptions): Transport {
  const options = withPingDefaults(given);
  const { baseUrl, defaultTimeoutMs, interceptors = [] } = options;
  const sessions =
    options.sessionManager ?? new Http2SessionManager(baseUrl, options, options.nodeOptions);
  const streaming = createConnectGrpcTransport({ ...options, sessionManager: sessions });
  const format = createClientFormat(options);
  const exceededDeadline = (session: Http2Session) => verifySession(session, options.pingTimeoutMs);

  return {
    async unary(method, signal, timeoutMs, header, message, contextValues) {
      const known = format.methodOf(method);
      const limitMs = timeoutMs === undefined ? defaultTimeoutMs : positive(timeoutMs);
      const call = (
        input: MessageShape<DescMessage>,
        url: string,
        headers: OutgoingHttpHeaders,
        limits: { signal: AbortSignal | undefined; timeoutMs: number | undefined },
      ) =>
        callUnary({
          sessions,
          format,
          exceededDeadline,
          method: known,
          path: pathOf(url, sessions.authority),
          headers,
          message: input,
          ...limits,
        });
      if (interceptors.length === 0) {
        const { url } = known;
        const headers = format.requestHeaders(limitMs, header);
        const input = create(method.input, message);
        const answer = await call(input, url, headers, { signal, timeoutMs: limitMs });
        const output = asMessage(method.output, answer.message);
        return new LazyResponse(method, output, answer.headers, answer.trailers);
      }
      return runUnaryCall({
        interceptors,
        signal,
        timeoutMs: limitMs,
        req: {
          stream: false,
          service: method.parent,
          method,
          requestMethod: "POST",
          url: known.url,
          header: format.requestHeader(limitMs, header),
          contextValues: contextValues ?? createContextValues(),
          message,
        },
        async next(request) {
          const headers: OutgoingHttpHeaders = {};
          addToNodeHeaders(headers, request.header);
          const limits = { signal: request.signal, timeoutMs: undefined };
          const answer = await call(request.message, request.url, headers, limits);
          return {
            stream: false,
            service: method.parent,
            method,
            header: webHeaders(answer.headers),
            message: asMessage(method.output, answer.message),
            trailer: webHeaders(answer.trailers),
          };
        },
      });
    },
    stream: (...call) => streaming.stream(...call),
  };
}

const received = Symbol("received");

/** A response whose headers and trailers are created on first access. */
class LazyResponse<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  declare readonly header: Headers;
  declare readonly trailer: Headers;
  readonly stream = false;
  readonly service;
  readonly [received]: {
    header: IncomingHttpHeaders | Headers;
    trailer: IncomingHttpHeaders | Headers;
  };

  constructor(
    readonly method: DescMethodUnary<I, O>,
    readonly message: MessageShape<O>,
    header: IncomingHttpHeaders,
    trailer: IncomingHttpHeaders,
  ) {
    this.service = method.parent;
    this[received] = { header, trailer };
    Object.defineProperty(this, "header", headerAccessor);
    Object.defineProperty(this, "trailer", trailerAccessor);
  }
}

const headerAccessor = headersAccessor("header");
const trailerAccessor = headersAccessor("trailer");

function headersAccessor(part: "header" | "trailer"): PropertyDescriptor {
  return sharedAccessor((response: LazyResponse<DescMessage, DescMessage>) => {
    const headers = response[received][part];
    if (headers instanceof Headers) return headers;
    const made = webHeaders(headers);
    response[received][part] = made;
    return made;
  });
}

/** Zero and less take a default back: the call has no limit. */
function positive(timeoutMs: number): number | undefined {
  return timeoutMs > 0 ? timeoutMs : undefined;
}

/** @throws ConnectError `Code.Internal` for a URL of another origin, as Connect's transport does. */
function pathOf(url: string, authority: string): string {
  if (url.startsWith(authority)) {
    const path = url.slice(authority.length);
    // A method's path has no character that needs an escape.
    if (/^(\/[\w.]+)+$/.test(path)) return path;
  }
  const { origin, pathname, search } = new URL(url);
  if (origin === authority) return pathname + search;
  throw new ConnectError(
    `cannot make a request to ${origin}: the http2 session is connected to ${authority}`,
    Code.Internal,
  );
}
