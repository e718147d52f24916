import type {
  ClientHttp2Stream,
  Http2Session,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
} from "node:http2";
import { constants } from "node:http2";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { GrpcTransportOptions } from "@connectrpc/connect-node";
import { timedOut } from "../direct/call-signal.js";
import {
  type Compression,
  validateGrpcResponse,
  validateGrpcTrailer,
} from "../direct/connect-protocol.js";
import { longestMs } from "../internal/option-bounds.js";
import type { ClientFormat, ClientMethod } from "./client-format.js";
import { guardSession } from "./client-sessions.js";
import { createEnvelopeReader, type Envelope, encodeEnvelope } from "./envelope.js";
import { connectionLost, notConnected } from "./errors.js";
import { webHeaders } from "./node-headers.js";
import {
  extraMessage,
  incompleteMessage,
  missingMessage,
  noCompression,
} from "./protocol-errors.js";
import { errorFromReset } from "./reset-error.js";

/** The connection that calls go over. Connect's `Http2SessionManager` is one. */
export type SessionManager = NonNullable<GrpcTransportOptions["sessionManager"]>;

export interface UnaryCall {
  readonly sessions: SessionManager;
  readonly format: ClientFormat;
  readonly method: ClientMethod;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly message: MessageShape<DescMessage>;
  /** Aborts the call. Default: no signal. */
  readonly signal: AbortSignal | undefined;
  /** Default: no limit. */
  readonly timeoutMs: number | undefined;
  /** Called with the session of a call that exceeded its deadline or its caller's. */
  readonly exceededDeadline: (session: Http2Session) => void;
}

export interface UnaryAnswer {
  readonly message: MessageShape<DescMessage>;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
}

/**
 * Makes one call, and reads its response from the events of its stream. Rejects with a
 * ConnectError: the server's error, a protocol error, `Code.Canceled` if the signal aborts,
 * `Code.DeadlineExceeded`, or `Code.Unavailable` if the connection fails.
 */
export function callUnary(call: UnaryCall): Promise<UnaryAnswer> {
  return new Promise((resolve, reject) => {
    new StreamCall(call, resolve, reject).begin().catch(reject);
  });
}

/** Where a stream has its call: listeners that all streams share find it there. */
const callOf = Symbol("call");

interface CallStream extends ClientHttp2Stream {
  [callOf]?: StreamCall;
}

class StreamCall {
  readonly #call: UnaryCall;
  readonly #resolve: (answer: UnaryAnswer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #reader: ReturnType<typeof createEnvelopeReader>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;
  /** The bytes to send again if the stream is refused; undefined once they were sent twice. */
  #request: Buffer | undefined;
  #stream: ClientHttp2Stream | undefined;
  #session: Http2Session | undefined;
  #streamError: unknown;
  #headers: IncomingHttpHeaders | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #compression: Compression | undefined;
  /** The error in a response of headers only (PROTOCOL-HTTP2.md, "Trailers-Only"). */
  #headerError: ConnectError | undefined;
  #envelope: Envelope | undefined;

  constructor(
    call: UnaryCall,
    resolve: (answer: UnaryAnswer) => void,
    reject: (error: unknown) => void,
  ) {
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#reader = createEnvelopeReader(call.format.readMaxBytes);
  }

  async begin(): Promise<void> {
    const { signal, timeoutMs, sessions, path, headers } = this.#call;
    if (signal?.aborted) {
      this.#fail(ConnectError.from(signal.reason, Code.Canceled));
      return;
    }
    if (timeoutMs !== undefined) {
      if (timeoutMs <= 0) {
        this.#fail(timedOut());
        return;
      }
      // Node fires a timer at once if its delay is above this limit.
      this.#timer = setTimeout(() => this.#giveUp(timedOut()), Math.min(timeoutMs, longestMs));
    }
    signal?.addEventListener("abort", this.#onAbort);
    let request: Buffer;
    try {
      const encoded = this.#encode();
      request = encoded instanceof Promise ? await encoded : encoded;
    } catch (error) {
      this.#fail(error);
      return;
    }
    let stream: CallStream;
    try {
      stream = await sessions.request("POST", path, headers, {});
    } catch (error) {
      this.#fail(connectFailure(error, sessions.authority));
      return;
    }
    this.#request = request;
    this.#send(stream, request);
  }

  #send(stream: CallStream, request: Buffer): void {
    stream[callOf] = this;
    stream.on("error", onError);
    if (this.#isOver) {
      stream.close(constants.NGHTTP2_CANCEL);
      return;
    }
    this.#stream = stream;
    this.#session = stream.session;
    if (stream.session !== undefined) guardSession(stream.session);
    stream.on("response", onResponse);
    stream.on("data", onData);
    stream.on("trailers", onTrailers);
    stream.on("end", onEnd);
    stream.on("close", onClose);
    stream.end(request);
  }

  failed(error: unknown): void {
    this.#streamError = error;
  }

  #encode(): Buffer | Promise<Buffer> {
    const { method, message, format } = this.#call;
    const { sendCompression, compressMinBytes } = format;
    const data = method.input.serialize(message);
    if (sendCompression === null || data.byteLength < compressMinBytes) {
      return encodeEnvelope({ isCompressed: false, data });
    }
    return sendCompression
      .compress(data)
      .then((compressed) => encodeEnvelope({ isCompressed: true, data: compressed }));
  }

  respond(headers: IncomingHttpHeaders): void {
    this.#headers = headers;
    if (isPlain(headers)) {
      const encoding = headers["grpc-encoding"];
      if (encoding === undefined || encoding === "identity") return;
      const { acceptCompression } = this.#call.format;
      this.#compression = acceptCompression.find(({ name }) => name === encoding);
      if (this.#compression !== undefined) return;
    }
    try {
      const { compression, headerError } = validateGrpcResponse(
        this.#call.format.acceptCompression,
        Number(headers[":status"] ?? 0),
        webHeaders(headers),
      );
      this.#compression = compression;
      this.#headerError = headerError;
    } catch (error) {
      this.#fail(error);
    }
  }

  receive(chunk: Uint8Array): void {
    if (this.#isOver || this.#stream === undefined) return;
    try {
      for (const envelope of this.#reader.read(chunk)) {
        if (this.#envelope !== undefined) throw extraMessage("output");
        this.#envelope = envelope;
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#call.sessions.notifyResponseByteRead(this.#stream);
  }

  receiveTrailers(trailers: IncomingHttpHeaders): void {
    this.#trailers = trailers;
  }

  receivedAll({ rstCode }: ClientHttp2Stream): void {
    // Node also emits this event for streams that were reset or whose session was destroyed.
    // "close" follows it.
    const isWhole = rstCode === constants.NGHTTP2_NO_ERROR && this.#session?.destroyed === false;
    if (this.#trailers !== undefined || isWhole) this.#complete();
  }

  #complete(): void {
    if (this.#isOver) return;
    if (this.#reader.isIncomplete()) {
      this.#fail(incompleteMessage());
    } else if (this.#envelope?.isCompressed) {
      this.#decompress(this.#envelope.data).then(
        (data) => this.#finish(data),
        (error: unknown) => this.#fail(error),
      );
    } else {
      this.#finish(this.#envelope?.data);
    }
  }

  async #decompress(data: Uint8Array): Promise<Uint8Array> {
    if (this.#compression === undefined) throw noCompression();
    const { readMaxBytes } = this.#call.format;
    return this.#compression.decompress(new Uint8Array(data), readMaxBytes);
  }

  #finish(data: Uint8Array | undefined): void {
    if (this.#isOver) return;
    const { method } = this.#call;
    const headers = this.#headers ?? {};
    const trailers = this.#trailers ?? {};
    try {
      const message = data === undefined ? undefined : method.output.parse(data);
      if (trailers["grpc-status"] !== "0" || trailers["grpc-status-details-bin"] !== undefined) {
        validateGrpcTrailer(webHeaders(trailers), webHeaders(headers));
      }
      if (message === undefined) {
        const code = trailers["grpc-status"] === undefined ? Code.Unknown : Code.Unimplemented;
        throw this.#headerError ?? missingMessage("output", code);
      }
      if (this.#headerError !== undefined) throw messageBesidesError();
      this.#end();
      this.#resolve({ message, headers, trailers });
    } catch (error) {
      this.#fail(error);
    }
  }

  close(stream: ClientHttp2Stream): void {
    if (this.#isOver || this.#opensAgain(stream)) return;
    const { authority } = this.#call.sessions;
    if (this.#streamError instanceof ConnectError) this.#fail(this.#streamError);
    else if (this.#session?.destroyed !== false) {
      this.#fail(connectionLost(authority, this.#streamError));
    } else {
      const error = errorFromReset(stream.rstCode ?? 0);
      if (error === undefined) this.#complete();
      else this.#fail(error);
    }
  }

  /**
   * Sends a call whose stream was refused over another stream, once. A refused stream has not been
   * processed (RFC 9113, section 8.7), so that a start is not started twice. A server that drains
   * refuses the streams that cross its GOAWAY.
   */
  #opensAgain({ rstCode }: ClientHttp2Stream): boolean {
    if (rstCode !== constants.NGHTTP2_REFUSED_STREAM || this.#headers !== undefined) return false;
    const request = this.#request;
    if (request === undefined) return false;
    this.#request = undefined;
    this.#stream = undefined;
    this.#session = undefined;
    this.#streamError = undefined;
    const { sessions, path, headers } = this.#call;
    sessions.request("POST", path, headers, {}).then(
      (stream) => this.#send(stream, request),
      (error: unknown) => this.#fail(connectFailure(error, sessions.authority)),
    );
    return true;
  }

  readonly #onAbort = (): void => {
    this.#giveUp(ConnectError.from(this.#call.signal?.reason, Code.Canceled));
  };

  /** Fails the call by its own deadline, or by its signal, which may have a deadline as the reason. */
  #giveUp(error: ConnectError): void {
    const session = this.#session;
    if (session !== undefined && error.code === Code.DeadlineExceeded) {
      this.#call.exceededDeadline(session);
    }
    this.#fail(error);
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#end();
    if (this.#stream?.closed === false) this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#reject(error);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#call.signal?.removeEventListener("abort", this.#onAbort);
  }
}

function onError(this: CallStream, error: unknown): void {
  this[callOf]?.failed(error);
}

function onResponse(this: CallStream, headers: IncomingHttpHeaders): void {
  this[callOf]?.respond(headers);
}

function onData(this: CallStream, chunk: Uint8Array): void {
  this[callOf]?.receive(chunk);
}

function onTrailers(this: CallStream, trailers: IncomingHttpHeaders): void {
  this[callOf]?.receiveTrailers(trailers);
}

function onEnd(this: CallStream): void {
  this[callOf]?.receivedAll(this);
}

function onClose(this: CallStream): void {
  this[callOf]?.close(this);
}

/** Whether nothing in the headers asks for a closer look, but for the compression. */
function isPlain(headers: IncomingHttpHeaders): boolean {
  const contentType = headers["content-type"];
  return (
    Number(headers[":status"]) === 200 &&
    (contentType === "application/grpc+proto" || contentType === "application/grpc") &&
    headers["grpc-status"] === undefined
  );
}

/** Why a call has no stream. */
function connectFailure(error: unknown, authority: string): ConnectError {
  if (error instanceof ConnectError && error.cause === undefined) return error;
  // Node throws a TypeError or a RangeError before it tries to connect, for example for invalid
  // headers.
  if (error instanceof TypeError || error instanceof RangeError) {
    return ConnectError.from(error, Code.Internal);
  }
  return notConnected(authority, error);
}

/** In the words of Connect, as the others. */
function messageBesidesError(): ConnectError {
  const message = "protocol error: received output message for unary method with error status";
  return new ConnectError(message, Code.Unknown);
}
