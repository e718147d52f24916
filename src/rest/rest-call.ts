import { type DescMessage, fromBinary, type Message, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createCallGroup } from "../direct/call-group.js";
import { callEnded } from "../direct/call-signal.js";
import {
  codeToHttpStatus,
  createMethodSerializationLookup,
  errorFromJsonBytes,
  errorToJsonBytes,
  parseConnectTimeout,
  type Serialization,
  trailerMux,
  type UniversalHandler,
} from "../direct/connect-protocol.js";
import { DirectCall, type DirectMethod, messageTooLarge } from "../direct/direct-call.js";
import { unaryRouteOf } from "../direct/recording-router.js";
import type { WireMessage } from "../internal/wire-message.js";
import {
  type CallAnswer,
  callHeadersOf,
  callUrlOf,
  deleteHopHeaders,
  type MethodCall,
} from "./method-call.js";
import type { ReceivedMessage } from "./request-message.js";

/** A method that REST calls without its handler. */
export interface RestMethod extends DirectMethod {
  readonly requestPath: string;
  readonly output: Serialization<MessageShape<DescMessage>>;
}

/** Returns the method of a handler for calls without the handler; undefined if it is not known. */
export function restMethodOf(handler: UniversalHandler): RestMethod | undefined {
  const route = unaryRouteOf(handler);
  if (route === undefined) return undefined;
  const { binaryOptions, jsonOptions, shutdownSignal } = route.options;
  const { method } = route.spec;
  const lookup = createMethodSerializationLookup(method, binaryOptions, jsonOptions, route.options);
  return {
    route,
    requestPath: handler.requestPath,
    output: lookup.getO(true),
    calls: createCallGroup(shutdownSignal),
  };
}

/**
 * Calls the implementation of a method without its handler. Returns the response synchronously if
 * the implementation does.
 *
 * @throws ConnectError of the call, with the headers of its response as metadata.
 */
export function callDirect(
  method: RestMethod,
  received: ReceivedMessage,
  call: MethodCall,
): CallAnswer | Promise<CallAnswer> {
  return new RestCall(method, call).start(received);
}

/** One call, whose response is the encoded message and the headers that the handler has set. */
class RestCall extends DirectCall {
  readonly #method: RestMethod;
  readonly #call: MethodCall;
  #answer: CallAnswer | undefined;
  #error: ConnectError | undefined;
  #onAnswer: ((answer: CallAnswer) => void) | undefined;
  #onError: ((error: ConnectError) => void) | undefined;

  constructor(method: RestMethod, call: MethodCall) {
    const { timeoutMs, request } = call;
    super(method, { protocolName: "connect", timeoutMs, request });
    this.#method = method;
    this.#call = call;
    this.useValues(request.contextValues);
  }

  start({ message, maxBytes }: ReceivedMessage): CallAnswer | Promise<CallAnswer> {
    const { timeoutMs } = this.#call;
    const { maxTimeoutMs, readMaxBytes } = this.route.options;
    // Connect's handler checks these limits before the call, with the same errors.
    if (timeoutMs !== undefined && timeoutMs > maxTimeoutMs) {
      this.fail(parseConnectTimeout(String(timeoutMs), maxTimeoutMs).error);
    } else if (maxBytes > readMaxBytes) {
      this.fail(messageTooLarge(undefined, { readMaxBytes }));
    } else {
      this.invoke(message, true);
    }
    if (this.#error !== undefined) throw this.#error;
    if (this.#answer !== undefined) return this.#answer;
    return new Promise((resolve, reject) => {
      this.#onAnswer = resolve;
      this.#onError = reject;
    });
  }

  protected respond(message: MessageShape<DescMessage>): void {
    try {
      // The serializer limits the size, and refuses values that do not fit the fields' types.
      this.#succeed(this.#method.output.serialize(message), message);
    } catch (error) {
      this.fail(error);
    }
  }

  send(message: WireMessage): void {
    try {
      const { byteLength } = message;
      this.assertWritable(byteLength);
      const bytes = new Uint8Array(byteLength);
      message.writeTo(bytes, 0);
      this.#succeed(bytes, undefined);
    } catch (error) {
      this.fail(error);
    }
  }

  #succeed(bytes: Uint8Array, message: Message | undefined): void {
    this.end.end(callEnded);
    const { output } = this.route.spec.method;
    const answer = {
      bytes,
      header: this.#answerHeader(),
      message: () => message ?? fromBinary(output, bytes),
    };
    this.#answer = answer;
    this.#onAnswer?.(answer);
  }

  /**
   * Ends the call with an error, in the form that the error has on the wire: without its cause and
   * its class.
   */
  fail(cause: unknown): void {
    this.end.end(cause ?? callEnded);
    const error =
      cause instanceof ConnectError ? cause : new ConnectError("internal error", Code.Internal);
    const { code, metadata } = error;
    metadata.forEach((value, name) => {
      this.responseHeader().set(name, value);
    });
    const bytes = errorToJsonBytes(error, this.route.options.jsonOptions);
    const message = `the handler answered ${codeToHttpStatus(code)}`;
    const fallback = new ConnectError(message, Code.Internal);
    const asSent = errorFromJsonBytes(bytes, this.#answerHeader(), fallback);
    this.#error = asSent;
    this.#onError?.(asSent);
  }

  url(): string {
    return callUrlOf(this.#call, this.#method.requestPath);
  }

  protected createRequestHeader(): Headers {
    return callHeadersOf(this.#call);
  }

  protected createResponseHeader(): Headers {
    return new Headers({ "content-type": "application/proto" });
  }

  protected createResponseTrailer(): Headers {
    return new Headers();
  }

  /** Returns the headers and trailers that were set, as Connect's unary protocol sends them. */
  #answerHeader(): Headers | undefined {
    if (this.readResponseHeader === undefined && this.readResponseTrailer === undefined) {
      return undefined;
    }
    const header = trailerMux(this.responseHeader(), this.responseTrailer());
    deleteHopHeaders(header);
    return header;
  }
}
