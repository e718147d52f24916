import {
  constants,
  Http2ServerRequest,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { ConnectError, type ContextValues } from "@connectrpc/connect";
import { callEnded } from "../direct/call-signal.js";
import { grpcStatusOk, parseGrpcTimeout, setTrailerStatus } from "../direct/connect-protocol.js";
import { DirectCall, toConnectError } from "../direct/direct-call.js";
import { systemClock } from "../internal/clock.js";
import { createTimerQueue, type QueuedTimer, type TimerQueue } from "../internal/timer-queue.js";
import type { WireMessage } from "../internal/wire-message.js";
import { trailersOnly } from "../web/error-response.js";
import { internalError, malformedRequest } from "../web/errors.js";
import {
  createEnvelopeReader,
  type Envelope,
  type EnvelopeReader,
  encodeEnvelope,
} from "./envelope.js";
import { requestTimedOut } from "./errors.js";
import type { Exchange } from "./exchange.js";
import type { FastFormat, FastMethod } from "./fast-method.js";
import { createInflationQueue, type InflationQueue } from "./inflation-queue.js";
import { answerHeaders, compactHeaders, type ReceivedHeaders, webHeaders } from "./node-headers.js";
import {
  extraMessage,
  incompleteMessage,
  missingMessage,
  noCompression,
} from "./protocol-errors.js";
import type { ReceivedBytes } from "./received-bytes.js";
import { errorFromReset } from "./reset-error.js";
import type { ServerEvent } from "./server-events.js";
import type { ResolvedLimits } from "./server-limits.js";

/** The shared state of all calls of a server on the fast path. */
export interface FastServer {
  readonly limits: ResolvedLimits;
  /** Calls whose request has not arrived, and calls whose client has not taken the response. */
  readonly timeouts: TimerQueue;
  /** The bytes of all requests that are being received. */
  readonly received: ReceivedBytes;
  readonly inflations: InflationQueue;
  readonly contextValues: ((request: Exchange["request"]) => ContextValues) | undefined;
  /** Headers that every response has in addition to its own. */
  readonly extraHeaders: OutgoingHttpHeaders;
  log(event: ServerEvent): void;
}

/** A request with its stream and its headers, as received. */
export interface FastRequest {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[] | undefined;
  readonly path: string;
  /** The scheme and the authority: `https://host:port`. */
  readonly origin: string;
  readonly isBinary: boolean;
}

/** Where a stream has its call: listeners that all streams share find it there. */
const callOf = Symbol("call");

interface FastStream extends ServerHttp2Stream {
  [callOf]?: FastCall;
}

const okTrailers: OutgoingHttpHeaders = { "grpc-status": grpcStatusOk };
const withTrailers = { waitForTrailers: true };

export function createFastServer(server: Omit<FastServer, "timeouts" | "inflations">): FastServer {
  return {
    ...server,
    // Each call has a stream, which keeps the process alive.
    timeouts: createTimerQueue(systemClock, { background: true }),
    inflations: createInflationQueue(),
  };
}

/**
 * Serves one unary gRPC call from the events of its stream. It replaces Connect's handler and
 * adapter without a pipeline of async iterables, and creates headers, signals and timers only
 * when the handler or an interceptor accesses them.
 */
export function answerFastCall(server: FastServer, method: FastMethod, request: FastRequest): void {
  const { maxTimeoutMs } = method.route.options;
  const { timeoutMs, error } = parseGrpcTimeout(
    textOf(request.headers["grpc-timeout"]),
    maxTimeoutMs,
  );
  new FastCall(server, method, request, timeoutMs).begin(request, error);
}

/** Has few fields, because a waiting call holds little memory other than its stream and this object. */
class FastCall extends DirectCall implements QueuedTimer {
  dueMs = 0;
  place = -1;
  readonly #server: FastServer;
  readonly #method: FastMethod;
  readonly #stream: FastStream;
  readonly #headers: ReceivedHeaders;
  readonly #path: string;
  readonly #origin: string;
  readonly #isBinary: boolean;
  readonly #compression: ReturnType<FastMethod["negotiate"]>;
  /** The progress of the call: the client sends the whole request, then receives the whole response. */
  #phase: "receiving" | "running" | "answered" | "closed" = "receiving";
  /** The reader of the request. Undefined once the request has arrived. */
  #reader: EnvelopeReader | undefined;
  #message: MessageShape<DescMessage> | undefined;
  /** The first one; it is taken once the chunk that completes it has no other. */
  #envelope: Envelope | undefined;
  #hasEnvelope = false;
  #isInflating = false;
  #hasEnded = false;
  /** The bytes that count as being received. */
  #received = 0;
  #connection: object | undefined;
  #trailers: OutgoingHttpHeaders = okTrailers;

  constructor(
    server: FastServer,
    method: FastMethod,
    { stream, headers, rawHeaders, path, origin, isBinary }: FastRequest,
    timeoutMs: number | undefined,
  ) {
    super(method, { protocolName: "grpc", timeoutMs, request: undefined });
    this.#server = server;
    this.#method = method;
    this.#stream = stream;
    this.#headers = compactHeaders(headers, rawHeaders);
    this.#path = path;
    this.#origin = origin;
    this.#isBinary = isBinary;
    this.#compression = method.negotiate(
      textOf(headers["grpc-encoding"]),
      textOf(headers["grpc-accept-encoding"]),
    );
    this.#reader = createEnvelopeReader(method.route.options.readMaxBytes);
    this.#stream[callOf] = this;
  }

  /** @param refusal The error that refuses the call. Undefined if no error has been found so far. */
  begin({ headers, rawHeaders }: FastRequest, refusal: ConnectError | undefined): void {
    const { contextValues, timeouts, limits } = this.#server;
    const stream = this.#stream;
    // A "close" event follows each error and ends the call.
    stream.on("error", ignore);
    stream.on("close", onClose);
    try {
      this.useValues(
        contextValues?.(new Http2ServerRequest(stream, headers, {}, rawHeaders ?? [])),
      );
    } catch (cause) {
      this.#refuse(cause);
      return;
    }
    const error = this.#compression.error ?? refusal;
    if (error !== undefined) {
      this.fail(error);
      return;
    }
    timeouts.add(this, limits.bodyTimeoutMs);
    stream.on("data", onData);
    stream.on("end", onEnd);
  }

  /** The client has not sent its whole request, or has not taken the whole response, in time. */
  onDue(): void {
    if (this.#phase === "receiving") this.fail(requestTimedOut(this.#server.limits.bodyTimeoutMs));
    else this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  receive(chunk: Uint8Array): void {
    if (this.#phase !== "receiving" || this.#reader === undefined) return;
    try {
      // The session is kept because a stream that is closed has no session.
      this.#connection ??= this.#stream.session;
      this.#received += chunk.byteLength;
      this.#server.received.add(this.#connection, chunk.byteLength);
      for (const envelope of this.#reader.read(chunk)) {
        // A second envelope is refused before it is inflated, so that a thousand envelopes cost no
        // more than one.
        if (this.#hasEnvelope) throw extraMessage("input");
        this.#hasEnvelope = true;
        this.#envelope = envelope;
      }
    } catch (error) {
      this.fail(error);
      return;
    }
    const envelope = this.#envelope;
    if (envelope === undefined) return;
    this.#envelope = undefined;
    if (envelope.isCompressed) this.#inflate(envelope.data);
    else this.#parse(envelope.data);
  }

  receivedAll(): void {
    this.#hasEnded = true;
    if (!this.#isInflating) this.#receivedWhole();
  }

  #inflate(data: Uint8Array): void {
    const { request: compression } = this.#compression;
    if (compression === null) {
      this.fail(noCompression());
      return;
    }
    const { readMaxBytes } = this.#method.route.options;
    this.#isInflating = true;
    this.#server.inflations.run(
      () => this.#phase === "receiving",
      async () => {
        try {
          this.#parse(await compression.decompress(asArrayBuffer(data), readMaxBytes));
        } catch (error) {
          this.fail(error);
        }
        this.#isInflating = false;
        if (this.#hasEnded) this.#receivedWhole();
      },
    );
  }

  #parse(data: Uint8Array): void {
    if (this.#phase !== "receiving") return;
    try {
      this.#message = this.#format().input.parse(data);
    } catch {
      // The size of the message was checked before, so the parser failed.
      this.fail(malformedRequest(this.route.spec.method.input.typeName));
    }
  }

  #receivedWhole(): void {
    if (this.#phase !== "receiving") return;
    const message = this.#message;
    const isIncomplete = this.#reader?.isIncomplete() === true;
    // The call drops its reference to the request, so that only the handler can keep it.
    this.#message = undefined;
    this.#reader = undefined;
    this.#stopReceiving();
    if (isIncomplete) this.fail(incompleteMessage());
    else if (message === undefined) this.fail(missingMessage("input"));
    else {
      this.#phase = "running";
      this.invoke(message, this.#isBinary);
    }
  }

  #stopReceiving(): void {
    const server = this.#server;
    server.timeouts.remove(this);
    server.received.remove(this.#connection, this.#received);
    this.#received = 0;
    this.#connection = undefined;
  }

  protected respond(message: MessageShape<DescMessage>): void {
    try {
      this.#encode(this.#format().output.serialize(message));
    } catch (error) {
      this.fail(error);
    }
  }

  send(message: WireMessage): void {
    try {
      this.assertWritable(message.byteLength);
      this.#encode(message);
    } catch (error) {
      this.fail(error);
    }
  }

  #encode(data: Uint8Array | WireMessage): void {
    const { response: compression } = this.#compression;
    const { compressMinBytes } = this.#method.route.options;
    if (compression === null || data.byteLength < compressMinBytes) {
      this.#answer(encodeEnvelope({ isCompressed: false, data }), undefined);
      return;
    }
    compression.compress(bytesOf(data)).then(
      (compressed) =>
        this.#answer(encodeEnvelope({ isCompressed: true, data: compressed }), undefined),
      (error: unknown) => this.fail(error),
    );
  }

  /** Responds with an error. An error that is not a ConnectError becomes INTERNAL without its message. */
  fail(error: unknown): void {
    this.#answer(undefined, toConnectError(error));
  }

  #answer(answer: Buffer | undefined, error: ConnectError | undefined): void {
    const isGone = this.#phase === "closed";
    if (this.#phase === "answered") return;
    if (this.#phase === "receiving") this.#stopReceiving();
    this.#phase = isGone ? "closed" : "answered";
    this.end.end(error ?? callEnded);
    const stream = this.#stream;
    if (isGone || stream.destroyed || stream.closed) return;
    try {
      // Throws for an error that cannot be written, such as a lone surrogate in its message or a
      // wrong detail.
      if (error !== undefined) setTrailerStatus(this.responseTrailer(), error);
      const trailer = this.readResponseTrailer;
      if (trailer !== undefined) this.#trailers = answerHeaders(trailer);
      stream.on("wantTrailers", onWantTrailers);
      stream.respond(this.#answerHeaders(), withTrailers);
    } catch (cause) {
      this.#refuse(cause);
      return;
    }
    this.#awaitTaken();
    if (answer === undefined) stream.end();
    else stream.end(answer);
  }

  sendTrailers(): void {
    this.#stream.sendTrailers(this.#trailers);
    // The reset is delayed because it would overtake the trailers.
    if (!this.#hasReceivedAll()) this.#closeSoon();
  }

  /** Responds with an error alone, if the headers of the call itself cannot be sent. */
  #refuse(cause: unknown): void {
    const stream = this.#stream;
    this.#stopReceiving();
    this.#phase = "answered";
    this.end.end(cause);
    if (!(cause instanceof ConnectError)) {
      this.#server.log({ kind: "handler-failed", path: this.#path, cause });
    }
    if (stream.destroyed || stream.closed) return;
    const error = cause instanceof ConnectError ? cause : internalError(cause);
    this.#awaitTaken();
    stream.respond(this.#refusalHeaders(error), { endStream: true });
    if (!this.#hasReceivedAll()) this.#closeSoon();
  }

  /** An error as headers; INTERNAL in place of one that cannot be written. */
  #refusalHeaders(error: ConnectError): OutgoingHttpHeaders {
    const { extraHeaders, log } = this.#server;
    const contentType = this.requestHeader().get("content-type") ?? "";
    try {
      return { ...extraHeaders, ...trailersOnly(error, contentType) };
    } catch (cause) {
      log({ kind: "handler-failed", path: this.#path, cause });
      return { ...extraHeaders, ...trailersOnly(internalError(cause), contentType) };
    }
  }

  /** Limits the time that the client has to take the response. */
  #awaitTaken(): void {
    this.#server.timeouts.add(this, this.#server.limits.sendTimeoutMs);
  }

  #closeSoon(): void {
    setImmediate(() => this.#stream.close(constants.NGHTTP2_NO_ERROR));
  }

  #answerHeaders(): OutgoingHttpHeaders {
    const { extraHeaders } = this.#server;
    const header = this.readResponseHeader;
    if (header !== undefined) return { ...extraHeaders, ...answerHeaders(header) };
    const { contentType } = this.#format();
    const { response } = this.#compression;
    if (response === null) return { ...extraHeaders, "content-type": contentType };
    return { ...extraHeaders, "content-type": contentType, "grpc-encoding": response.name };
  }

  #format(): FastFormat {
    return this.#isBinary ? this.#method.binary : this.#method.json;
  }

  /** Whether the whole request has arrived. If not, the end of the response must end the stream, because the rest is not read. */
  #hasReceivedAll(): boolean {
    return this.#hasEnded || this.#stream.endAfterHeaders;
  }

  close(): void {
    if (this.#phase === "answered") {
      this.#server.timeouts.remove(this);
      return;
    }
    this.#stopReceiving();
    this.#phase = "closed";
    this.end.end(errorFromReset(this.#stream.rstCode ?? 0) ?? callEnded);
  }

  url(): string {
    return this.#origin + this.#path;
  }

  protected createRequestHeader(): Headers {
    return webHeaders(this.#headers);
  }

  protected createResponseHeader(): Headers {
    const header = new Headers({ "content-type": this.#format().contentType });
    const { response } = this.#compression;
    if (response !== null) header.set("grpc-encoding", response.name);
    return header;
  }

  protected createResponseTrailer(): Headers {
    return new Headers({ "grpc-status": grpcStatusOk });
  }
}

function onData(this: FastStream, chunk: Uint8Array): void {
  this[callOf]?.receive(chunk);
}

function onEnd(this: FastStream): void {
  this[callOf]?.receivedAll();
}

function onWantTrailers(this: FastStream): void {
  this[callOf]?.sendTrailers();
}

function onClose(this: FastStream): void {
  this[callOf]?.close();
}

function ignore(): void {}

function bytesOf(data: Uint8Array | WireMessage): Uint8Array<ArrayBuffer> {
  if (data instanceof Uint8Array) return asArrayBuffer(data);
  const bytes = new Uint8Array(data.byteLength);
  data.writeTo(bytes, 0);
  return bytes;
}

function textOf(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  return typeof header === "string" ? header : header.join(", ");
}

function asArrayBuffer(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
