import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
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
import { runUnaryCall } from "@connectrpc/connect/protocol";
import {
  createGrpcTransport as createConnectGrpcTransport,
  type GrpcTransportOptions,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { sharedAccessor } from "../direct/shared-accessor.js";
import { asMessage, createClientFormat } from "./client-format.js";
import { addToNodeHeaders, webHeaders } from "./node-headers.js";
import { callUnary } from "./unary-call.js";

/**
 * A gRPC transport over HTTP/2 that takes the options of Connect's own, and shows callers and
 * interceptors the same. Unary calls are read straight from the events of their streams, which
 * takes a fraction of the time; streaming calls are Connect's. docs/reference/fast-path.md lists what
 * differs.
 *
 * All calls share one connection, which is opened for the first of them and anew when it is
 * lost. A call whose connection cannot be had, or is lost before the answer is whole, fails with
 * `Code.Unavailable`.
 *
 * @throws ConnectError for options out of Connect's bounds; TypeError for a `baseUrl` that is no
 *   URL.
 */
export function createGrpcTransport(options: GrpcTransportOptions): Transport {
  const { baseUrl, defaultTimeoutMs, interceptors = [] } = options;
  const sessions =
    options.sessionManager ?? new Http2SessionManager(baseUrl, options, options.nodeOptions);
  const streaming = createConnectGrpcTransport({ ...options, sessionManager: sessions });
  const format = createClientFormat(options);

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
        return new LeanResponse(method, output, answer.headers, answer.trailers);
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

/** A response whose headers and trailers are made when somebody asks for them. */
class LeanResponse<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
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
  return sharedAccessor((response: LeanResponse<DescMessage, DescMessage>) => {
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
    // Nothing in a method's path needs to be written otherwise.
    if (/^(\/[\w.]+)+$/.test(path)) return path;
  }
  const { origin, pathname, search } = new URL(url);
  if (origin === authority) return pathname + search;
  throw new ConnectError(
    `cannot make a request to ${origin}: the http2 session is connected to ${authority}`,
    Code.Internal,
  );
}
