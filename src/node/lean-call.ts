import {
  constants,
  Http2ServerRequest,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import { CallSignal, callEnded } from "../direct/call-signal.js";
import { grpcStatusOk, parseGrpcTimeout, setTrailerStatus } from "../direct/connect-protocol.js";
import { DirectContext, type LazyParts } from "../direct/direct-context.js";
import { invokeUnary, isPromise } from "../direct/invoke-unary.js";
import type { EncodedResponder, WireMessage } from "../internal/wire-message.js";
import { trailersOnly } from "../web/error-response.js";
import { internalError, malformedRequest } from "../web/errors.js";
import { isParserError } from "../web/malformed-requests.js";
import { createDueQueue, type DueQueue } from "./due-queue.js";
import {
  createEnvelopeReader,
  type Envelope,
  type EnvelopeReader,
  encodeEnvelope,
} from "./envelope.js";
import { requestTimedOut } from "./errors.js";
import type { Exchange } from "./exchange.js";
import { createInflationQueue, type InflationQueue } from "./inflation-queue.js";
import type { LeanFormat, LeanMethod } from "./lean-method.js";
import { answerHeaders, compactHeaders, type ReceivedHeaders, webHeaders } from "./node-headers.js";
import {
  extraMessage,
  incompleteMessage,
  missingMessage,
  noCompression,
  tooLarge,
} from "./protocol-errors.js";
import type { ReceivedBytes } from "./received-bytes.js";
import { errorFromReset } from "./reset-error.js";
import type { ServerEvent } from "./server-events.js";
import type { ResolvedLimits } from "./server-limits.js";

/** The shared state of all calls of a server on the fast path. */
export interface LeanServer {
  readonly limits: ResolvedLimits;
  /** Calls whose request is still to come, and calls whose answer is still to be taken. */
  readonly receiving: DueQueue<LeanCall>;
  readonly sending: DueQueue<LeanCall>;
  /** The bytes of all requests that are being received. */
  readonly received: ReceivedBytes;
  readonly inflations: InflationQueue;
  readonly contextValues: ((request: Exchange["request"]) => ContextValues) | undefined;
  /** Headers that every response has in addition to its own. */
  readonly extraHeaders: OutgoingHttpHeaders;
  log(event: ServerEvent): void;
}

/** A request as it came: its stream and its headers. */
export interface LeanRequest {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[] | undefined;
  readonly path: string;
  readonly url: string;
  readonly isBinary: boolean;
}

/** Where a stream has its call: listeners that all streams share find it there. */
const callOf = Symbol("call");

interface LeanStream extends ServerHttp2Stream {
  [callOf]?: LeanCall;
}

const okTrailers: OutgoingHttpHeaders = { "grpc-status": grpcStatusOk };
const withTrailers = { waitForTrailers: true };
const noTimeout = () => undefined;

export function createLeanServer(
  server: Omit<LeanServer, "receiving" | "sending" | "inflations">,
): LeanServer {
  const { bodyTimeoutMs, sendTimeoutMs } = server.limits;
  return {
    ...server,
    receiving: createDueQueue(bodyTimeoutMs, (call) => call.receiveOverdue()),
    sending: createDueQueue(sendTimeoutMs, (call) => call.sendOverdue()),
    inflations: createInflationQueue(),
  };
}

/**
 * Serves one unary gRPC call from the events of its stream. It replaces Connect's handler and
 * adapter without a pipeline of async iterables, and creates headers, signals and timers only
 * when the handler or an interceptor accesses them.
 */
export function answerLeanCall(server: LeanServer, method: LeanMethod, request: LeanRequest): void {
  const { maxTimeoutMs } = method.route.options;
  const { timeoutMs, error } = parseGrpcTimeout(
    textOf(request.headers["grpc-timeout"]),
    maxTimeoutMs,
  );
  new LeanCall(server, method, request, timeoutMs).begin(request, error);
}

/** Has few fields, because a waiting call holds little memory other than its stream and this object. */
export class LeanCall implements LazyParts, EncodedResponder {
  /** Aborts when the client no longer waits for the response. */
  readonly end: CallSignal;
  readonly #server: LeanServer;
  readonly #method: LeanMethod;
  readonly #stream: LeanStream;
  readonly #headers: ReceivedHeaders;
  readonly #path: string;
  readonly #isBinary: boolean;
  readonly #compression: ReturnType<LeanMethod["negotiate"]>;
  readonly #context: DirectContext;
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
  #values: ContextValues | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;

  constructor(
    server: LeanServer,
    method: LeanMethod,
    { stream, headers, rawHeaders, path, url, isBinary }: LeanRequest,
    timeoutMs: number | undefined,
  ) {
    const { route } = method;
    this.#server = server;
    this.#method = method;
    this.#stream = stream;
    this.#headers = compactHeaders(headers, rawHeaders);
    this.#path = path;
    this.#isBinary = isBinary;
    this.#compression = method.negotiate(
      textOf(headers["grpc-encoding"]),
      textOf(headers["grpc-accept-encoding"]),
    );
    const deadlineMs = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
    this.end = new CallSignal(method.calls, deadlineMs);
    this.#context = new DirectContext(
      route.spec.method,
      "grpc",
      this,
      deadlineMs === undefined ? noTimeout : timeLeftUntil(deadlineMs),
      url,
    );
    this.#reader = createEnvelopeReader(route.options.readMaxBytes);
    this.#stream[callOf] = this;
  }

  /** @param refusal The error that refuses the call. Undefined if no error has been found so far. */
  begin({ headers, rawHeaders }: LeanRequest, refusal: ConnectError | undefined): void {
    const { contextValues, receiving } = this.#server;
    const stream = this.#stream;
    // A "close" event follows each error and ends the call.
    stream.on("error", ignore);
    stream.on("close", onClose);
    try {
      this.#values = contextValues?.(new Http2ServerRequest(stream, headers, {}, rawHeaders ?? []));
    } catch (cause) {
      this.#refuse(cause);
      return;
    }
    const error = this.#compression.error ?? refusal;
    if (error !== undefined) {
      this.fail(error);
      return;
    }
    receiving.add(this);
    stream.on("data", onData);
    stream.on("end", onEnd);
  }

  /** The client has not sent all of its request in time. */
  receiveOverdue(): void {
    this.fail(requestTimedOut(this.#server.limits.bodyTimeoutMs));
  }

  /** The client has not taken all of the answer in time. */
  sendOverdue(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  receive(chunk: Uint8Array): void {
    if (this.#phase !== "receiving" || this.#reader === undefined) return;
    try {
      // Kept because a stream that is closed has no session.
      this.#connection ??= this.#stream.session;
      this.#received += chunk.byteLength;
      this.#server.received.add(this.#connection, chunk.byteLength);
      for (const envelope of this.#reader.read(chunk)) {
        // Refused before it is inflated: a thousand envelopes must cost no more than one.
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
    } catch (error) {
      const { input } = this.#method.route.spec.method;
      const isParsers = error instanceof ConnectError && isParserError(error);
      this.fail(isParsers ? malformedRequest(input.typeName) : error);
    }
  }

  #receivedWhole(): void {
    if (this.#phase !== "receiving") return;
    const message = this.#message;
    const isIncomplete = this.#reader?.isIncomplete() === true;
    // Nothing of the request is kept that the handler does not keep.
    this.#message = undefined;
    this.#reader = undefined;
    this.#stopReceiving();
    if (isIncomplete) this.fail(incompleteMessage());
    else if (message === undefined) this.fail(missingMessage("input"));
    else this.#run(message);
  }

  #run(message: MessageShape<DescMessage>): void {
    const { route } = this.#method;
    this.#phase = "running";
    try {
      if (this.#isBinary && route.wireAnswers !== undefined) {
        route.wireAnswers.answer(message, this.#context, this);
        return;
      }
      const invoked = invokeUnary(route, this.#context, message);
      // Most handlers of small responses return them synchronously, and a microtask is not free.
      if (!isPromise(invoked)) this.#serialize(invoked);
      else {
        invoked.then(
          (answer) => this.#serialize(answer),
          (error: unknown) => this.fail(error),
        );
      }
    } catch (error) {
      this.fail(error);
    }
  }

  #stopReceiving(): void {
    const server = this.#server;
    server.receiving.delete(this);
    server.received.remove(this.#connection, this.#received);
    this.#received = 0;
    this.#connection = undefined;
  }

  #serialize(message: MessageShape<DescMessage>): void {
    try {
      this.#encode(this.#format().output.serialize(message));
    } catch (error) {
      this.fail(error);
    }
  }

  send(message: WireMessage): void {
    const { writeMaxBytes } = this.#method.route.options;
    const { byteLength } = message;
    if (byteLength > writeMaxBytes) this.fail(tooLarge(byteLength, { writeMaxBytes }));
    else this.#encode(message);
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
    this.#answer(
      undefined,
      error instanceof ConnectError
        ? error
        : new ConnectError("internal error", Code.Internal, undefined, undefined, error),
    );
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
      // Throws for an error that cannot be written: half a surrogate pair in its message, a wrong detail.
      if (error !== undefined) setTrailerStatus(this.responseTrailer(), error);
      if (this.#responseTrailer !== undefined) {
        this.#trailers = answerHeaders(this.#responseTrailer);
      }
      stream.on("wantTrailers", onWantTrailers);
      stream.respond(this.#answerHeaders(), withTrailers);
    } catch (cause) {
      this.#refuse(cause);
      return;
    }
    this.#server.sending.add(this);
    if (answer === undefined) stream.end();
    else stream.end(answer);
  }

  sendTrailers(): void {
    this.#stream.sendTrailers(this.#trailers);
    // Not at once: a reset overtakes trailers that are still to be written.
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
    this.#server.sending.add(this);
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

  #closeSoon(): void {
    setImmediate(() => this.#stream.close(constants.NGHTTP2_NO_ERROR));
  }

  #answerHeaders(): OutgoingHttpHeaders {
    const { extraHeaders } = this.#server;
    if (this.#responseHeader !== undefined) {
      return { ...extraHeaders, ...answerHeaders(this.#responseHeader) };
    }
    const { contentType } = this.#format();
    const { response } = this.#compression;
    if (response === null) return { ...extraHeaders, "content-type": contentType };
    return { ...extraHeaders, "content-type": contentType, "grpc-encoding": response.name };
  }

  #format(): LeanFormat {
    return this.#isBinary ? this.#method.binary : this.#method.json;
  }

  /** Whether the whole request has arrived. If not, the end of the response must end the stream, because the rest is not read. */
  #hasReceivedAll(): boolean {
    return this.#hasEnded || this.#stream.endAfterHeaders;
  }

  close(): void {
    if (this.#phase === "answered") {
      this.#server.sending.delete(this);
      return;
    }
    this.#stopReceiving();
    this.#phase = "closed";
    this.end.end(errorFromReset(this.#stream.rstCode ?? 0) ?? callEnded);
  }

  signal(): AbortSignal {
    return this.end.signal;
  }

  values(): ContextValues {
    this.#values ??= createContextValues();
    return this.#values;
  }

  requestHeader(): Headers {
    this.#requestHeader ??= webHeaders(this.#headers);
    return this.#requestHeader;
  }

  responseHeader(): Headers {
    if (this.#responseHeader === undefined) {
      this.#responseHeader = new Headers({ "content-type": this.#format().contentType });
      const { response } = this.#compression;
      if (response !== null) this.#responseHeader.set("grpc-encoding", response.name);
    }
    return this.#responseHeader;
  }

  responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers({ "grpc-status": grpcStatusOk });
    return this.#responseTrailer;
  }
}

function onData(this: LeanStream, chunk: Uint8Array): void {
  this[callOf]?.receive(chunk);
}

function onEnd(this: LeanStream): void {
  this[callOf]?.receivedAll();
}

function onWantTrailers(this: LeanStream): void {
  this[callOf]?.sendTrailers();
}

function onClose(this: LeanStream): void {
  this[callOf]?.close();
}

function ignore(): void {}

/** Returns the implementation of a context's `timeoutMs`. */
function timeLeftUntil(deadlineMs: number): () => number {
  const endMs = Math.trunc(deadlineMs);
  return () => endMs - performance.now();
}

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
