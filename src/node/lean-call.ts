import {
  constants,
  Http2ServerRequest,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import { grpcStatusOk, parseTimeout, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { CallSignal, callEnded } from "../direct/call-signal.js";
import { DirectContext, type LazyParts } from "../direct/direct-context.js";
import { invokeUnary, isPromise } from "../direct/invoke-unary.js";
import type { WireMessage } from "../internal/wire-message.js";
import { trailersOnly } from "./answer-error.js";
import { createDueQueue, type DueQueue } from "./due-queue.js";
import { createEnvelopeReader, type Envelope, encodeEnvelope } from "./envelope.js";
import { internalError, requestTimedOut } from "./errors.js";
import type { Exchange } from "./exchange.js";
import type { LeanFormat, LeanMethod } from "./lean-method.js";
import { answerHeaders, webHeaders } from "./node-headers.js";
import {
  extraMessage,
  incompleteMessage,
  missingMessage,
  noCompression,
  tooLarge,
} from "./protocol-errors.js";
import { errorFromReset } from "./reset-error.js";
import type { ServerEvent } from "./server-events.js";
import type { ResolvedLimits } from "./server-limits.js";

/** What all lean calls of a server share. */
export interface LeanServer {
  readonly limits: ResolvedLimits;
  /** Calls whose request is still to come, and calls whose answer is still to be taken. */
  readonly receiving: DueQueue<LeanCall>;
  readonly sending: DueQueue<LeanCall>;
  readonly contextValues: ((request: Exchange["request"]) => ContextValues) | undefined;
  /** Headers of every answer, besides its own. */
  readonly extraHeaders: OutgoingHttpHeaders;
  log(event: ServerEvent): void;
}

/** A request as it came: its stream and what its headers say. */
export interface LeanRequest {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[] | undefined;
  readonly path: string;
  readonly url: string;
  readonly isBinary: boolean;
}

const okTrailers: OutgoingHttpHeaders = { "grpc-status": grpcStatusOk };
const withTrailers = { waitForTrailers: true };
const noTimeout = () => undefined;

export function createLeanServer(server: Omit<LeanServer, "receiving" | "sending">): LeanServer {
  const { bodyTimeoutMs, sendTimeoutMs } = server.limits;
  return {
    ...server,
    receiving: createDueQueue(bodyTimeoutMs, (call) => call.receiveOverdue()),
    sending: createDueQueue(sendTimeoutMs, (call) => call.sendOverdue()),
  };
}

/**
 * Answer one unary gRPC call from the events of its stream. It does what Connect's handler and
 * adapter do together, without a pipeline of async iterables, and makes headers, signals and
 * timers only where somebody asks for them.
 */
export function answerLeanCall(server: LeanServer, method: LeanMethod, request: LeanRequest): void {
  new LeanCall(server, method, request).begin();
}

export class LeanCall implements LazyParts {
  readonly #server: LeanServer;
  readonly #method: LeanMethod;
  readonly #request: LeanRequest;
  readonly #format: LeanFormat;
  readonly #compression: ReturnType<LeanMethod["negotiate"]>;
  readonly #timeout: ReturnType<typeof parseTimeout>;
  /** By `Date.now`; undefined for none. */
  readonly #deadlineMs: number | undefined;
  readonly #signal: CallSignal;
  readonly #reader: ReturnType<typeof createEnvelopeReader>;
  /** What the client still has to do: send all of its request, then take all of its answer. */
  #phase: "receiving" | "running" | "answered" | "closed" = "receiving";
  #message: MessageShape<DescMessage> | undefined;
  #isDecompressing = false;
  #hasEnded = false;
  #context: DirectContext | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;

  constructor(server: LeanServer, method: LeanMethod, request: LeanRequest) {
    const { headers } = request;
    this.#server = server;
    this.#method = method;
    this.#request = request;
    this.#format = request.isBinary ? method.binary : method.json;
    this.#compression = method.negotiate(
      textOf(headers["grpc-encoding"]),
      textOf(headers["grpc-accept-encoding"]),
    );
    this.#timeout = parseTimeout(
      textOf(headers["grpc-timeout"]),
      method.route.options.maxTimeoutMs,
    );
    const { timeoutMs } = this.#timeout;
    this.#deadlineMs = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
    this.#signal = new CallSignal(method.shutdown, this.#deadlineMs);
    this.#reader = createEnvelopeReader(method.route.options.readMaxBytes);
  }

  begin(): void {
    const { stream } = this.#request;
    // What an error does to the call, the close after it tells.
    stream.on("error", ignore);
    stream.on("close", () => this.#close());
    const refusal = this.#compression.error ?? this.#timeout.error;
    try {
      this.#context = this.#createContext();
    } catch (cause) {
      this.#refuse(cause);
      return;
    }
    if (refusal !== undefined) {
      this.#fail(refusal);
      return;
    }
    this.#server.receiving.add(this);
    stream.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    stream.on("end", () => {
      this.#hasEnded = true;
      if (!this.#isDecompressing) this.#received();
    });
  }

  /** The client has not sent all of its request in time. */
  receiveOverdue(): void {
    this.#fail(requestTimedOut(this.#server.limits.bodyTimeoutMs));
  }

  /** The client has not taken all of the answer in time. */
  sendOverdue(): void {
    this.#request.stream.close(constants.NGHTTP2_CANCEL);
  }

  #createContext(): DirectContext {
    const { stream, headers, rawHeaders, url } = this.#request;
    const { contextValues } = this.#server;
    const endMs = this.#deadlineMs === undefined ? undefined : Math.trunc(this.#deadlineMs);
    return new DirectContext(
      this.#method.route.spec.method,
      "grpc",
      this,
      endMs === undefined ? noTimeout : () => endMs - Date.now(),
      url,
      contextValues?.(new Http2ServerRequest(stream, headers, {}, rawHeaders ?? [])) ??
        createContextValues(),
    );
  }

  #receive(chunk: Uint8Array): void {
    if (this.#phase !== "receiving") return;
    let envelopes: readonly Envelope[];
    try {
      envelopes = this.#reader.read(chunk);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (envelopes.some(({ isCompressed }) => isCompressed)) void this.#decompress(envelopes);
    else for (const { data } of envelopes) this.#parse(data);
  }

  async #decompress(envelopes: readonly Envelope[]): Promise<void> {
    const { stream } = this.#request;
    const { request: compression } = this.#compression;
    this.#isDecompressing = true;
    stream.pause();
    try {
      for (const { data, isCompressed } of envelopes) {
        if (isCompressed && compression === null) throw noCompression();
        const { readMaxBytes } = this.#method.route.options;
        this.#parse(
          isCompressed && compression !== null
            ? await compression.decompress(asArrayBuffer(data), readMaxBytes)
            : data,
        );
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#isDecompressing = false;
    stream.resume();
    if (this.#hasEnded) this.#received();
  }

  #parse(data: Uint8Array): void {
    if (this.#phase !== "receiving") return;
    try {
      const message = this.#format.input.parse(data);
      if (this.#message !== undefined) throw extraMessage("input");
      this.#message = message;
    } catch (error) {
      this.#fail(error);
    }
  }

  #received(): void {
    if (this.#phase !== "receiving") return;
    this.#server.receiving.delete(this);
    if (this.#reader.isIncomplete()) this.#fail(incompleteMessage());
    else if (this.#message === undefined) this.#fail(missingMessage("input"));
    else void this.#run(this.#message);
  }

  async #run(message: MessageShape<DescMessage>): Promise<void> {
    this.#phase = "running";
    let answer: Buffer;
    try {
      const made = this.#make(message);
      // Most handlers of a small answer have it at hand, and a turn of the queue is not free.
      const data = isPromise(made) ? await made : made;
      const { response: compression } = this.#compression;
      const isCompressed =
        compression !== null && data.byteLength >= this.#method.route.options.compressMinBytes;
      answer = encodeEnvelope({
        isCompressed,
        data: isCompressed ? await compression.compress(bytesOf(data)) : data,
      });
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#answer(answer, undefined);
  }

  /** The answer as it is sent: its wire form, where there is one and the answer is to be binary. */
  #make(
    message: MessageShape<DescMessage>,
  ): Uint8Array | WireMessage | Promise<Uint8Array | WireMessage> {
    const { route } = this.#method;
    const { output } = this.#format;
    const context = this.#context ?? this.#createContext();
    if (route.wireAnswers === undefined || !this.#request.isBinary) {
      const invoked = invokeUnary(route, context, message);
      return isPromise(invoked)
        ? invoked.then((answer) => output.serialize(answer))
        : output.serialize(invoked);
    }
    return route.wireAnswers.answer(message, context).then((answer) => {
      const { writeMaxBytes } = route.options;
      if (answer.byteLength > writeMaxBytes) throw tooLarge(answer.byteLength, { writeMaxBytes });
      return answer;
    });
  }

  /** Answer with an error; whatever is no ConnectError is shown as INTERNAL and nothing else. */
  #fail(error: unknown): void {
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
    if (this.#phase === "receiving") this.#server.receiving.delete(this);
    this.#phase = isGone ? "closed" : "answered";
    this.#signal.end(error ?? callEnded);
    const { stream } = this.#request;
    if (isGone || stream.destroyed || stream.closed) return;
    const trailers = this.#trailers(error);
    stream.on("wantTrailers", () => {
      stream.sendTrailers(trailers);
      // Not at once: a reset overtakes trailers that are still to be written.
      if (!this.#hasReceivedAll()) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    });
    try {
      stream.respond(this.#headers(), withTrailers);
    } catch (cause) {
      this.#refuse(cause);
      return;
    }
    this.#server.sending.add(this);
    if (answer === undefined) stream.end();
    else stream.end(answer);
  }

  /** Answer with nothing but an error, where the headers of the call itself cannot be sent. */
  #refuse(cause: unknown): void {
    const { stream, headers, path } = this.#request;
    this.#phase = "answered";
    this.#signal.end(cause);
    if (!(cause instanceof ConnectError)) {
      this.#server.log({ kind: "handler-failed", path, cause });
    }
    if (stream.destroyed || stream.closed) return;
    const error = cause instanceof ConnectError ? cause : internalError(cause);
    const contentType = textOf(headers["content-type"]) ?? "";
    const answer = { ...this.#server.extraHeaders, ...trailersOnly(error, contentType) };
    stream.respond(answer, { endStream: true });
    if (!this.#hasReceivedAll()) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
  }

  #headers(): OutgoingHttpHeaders {
    const { extraHeaders } = this.#server;
    if (this.#responseHeader !== undefined) {
      return { ...extraHeaders, ...answerHeaders(this.#responseHeader) };
    }
    const { response } = this.#compression;
    if (response === null) return { ...extraHeaders, "content-type": this.#format.contentType };
    return {
      ...extraHeaders,
      "content-type": this.#format.contentType,
      "grpc-encoding": response.name,
    };
  }

  #trailers(error: ConnectError | undefined): OutgoingHttpHeaders {
    if (error !== undefined) setTrailerStatus(this.responseTrailer(), error);
    return this.#responseTrailer === undefined ? okTrailers : answerHeaders(this.#responseTrailer);
  }

  /** Where it has not, the end of the answer must end the stream: nobody reads the rest. */
  #hasReceivedAll(): boolean {
    return this.#hasEnded || this.#request.stream.endAfterHeaders;
  }

  #close(): void {
    if (this.#phase === "answered") {
      this.#server.sending.delete(this);
      return;
    }
    this.#server.receiving.delete(this);
    this.#phase = "closed";
    this.#signal.end(errorFromReset(this.#request.stream.rstCode ?? 0) ?? callEnded);
  }

  signal(): AbortSignal {
    return this.#signal.signal;
  }

  requestHeader(): Headers {
    this.#requestHeader ??= webHeaders(this.#request.headers);
    return this.#requestHeader;
  }

  responseHeader(): Headers {
    if (this.#responseHeader === undefined) {
      this.#responseHeader = new Headers({ "content-type": this.#format.contentType });
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
