import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import {
  createMethodSerializationLookup,
  readAllBytes,
  type Serialization,
  type UniversalHandler,
} from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  errorFromJsonBytes,
  errorToJsonBytes,
  parseTimeout,
  trailerMux,
} from "@connectrpc/connect/protocol-connect";
import { type CallGroup, createCallGroup } from "../direct/call-group.js";
import { CallSignal, callEnded } from "../direct/call-signal.js";
import { DirectContext, type LazyParts } from "../direct/direct-context.js";
import { invokeUnary, isPromise } from "../direct/invoke-unary.js";
import { type UnaryRoute, unaryRouteOf } from "../direct/recording-router.js";
import { oneChunk } from "../internal/one-chunk.js";
import {
  type CallAnswer,
  callHeadersOf,
  callUrlOf,
  deleteHopHeaders,
  type MethodCall,
} from "./method-call.js";

/** All that the calls of one method have in common. */
export interface DirectMethod {
  readonly route: UnaryRoute;
  readonly requestPath: string;
  readonly input: Serialization<MessageShape<DescMessage>>;
  readonly output: Serialization<MessageShape<DescMessage>>;
  readonly calls: CallGroup;
}

/** The method of a handler, to be called without it; undefined where that cannot be. */
export function directMethodOf(handler: UniversalHandler): DirectMethod | undefined {
  const route = unaryRouteOf(handler);
  if (route === undefined) return undefined;
  const { binaryOptions, jsonOptions, shutdownSignal } = route.options;
  const { method } = route.spec;
  const lookup = createMethodSerializationLookup(method, binaryOptions, jsonOptions, route.options);
  return {
    route,
    requestPath: handler.requestPath,
    input: lookup.getI(true),
    output: lookup.getO(true),
    calls: createCallGroup(shutdownSignal),
  };
}

/**
 * Call the implementation of a method as its handler does, without the handler: its interceptors,
 * limits, deadline, signal and context values hold, and headers and signals are made only where
 * somebody asks for them.
 *
 * @param message In binary.
 * @throws ConnectError of the call, with the headers of its answer as metadata.
 */
export async function callDirect(
  method: DirectMethod,
  message: Uint8Array,
  call: MethodCall,
): Promise<CallAnswer> {
  const parts = new CallParts(method, call);
  let answered: MessageShape<DescMessage>;
  try {
    const invoked = invokeUnary(
      method.route,
      parts.createContext(),
      await inputOf(method, message, call),
    );
    // Most handlers of a small answer have it at hand, and a turn of the queue is not free.
    answered = isPromise(invoked) ? await invoked : invoked;
    // Bounds the size, and refuses values that the fields' types do not have.
    method.output.serialize(answered);
  } catch (cause) {
    throw parts.fail(cause);
  }
  parts.signals.end(callEnded);
  return { message: answered, header: parts.answerHeader() };
}

/** What Connect's handler does before it calls the implementation, and says in its words. */
async function inputOf(
  { route, input }: DirectMethod,
  message: Uint8Array,
  { timeoutMs }: MethodCall,
): Promise<MessageShape<DescMessage>> {
  const { maxTimeoutMs, readMaxBytes } = route.options;
  if (timeoutMs !== undefined && timeoutMs > maxTimeoutMs) {
    throw parseTimeout(String(timeoutMs), maxTimeoutMs).error;
  }
  if (message.byteLength > readMaxBytes) await readAllBytes(oneChunk(message), readMaxBytes, null);
  return input.parse(message);
}

/** What a call consists of besides its messages. */
class CallParts implements LazyParts {
  readonly signals: CallSignal;
  readonly #method: DirectMethod;
  readonly #call: MethodCall;
  /** By `Date.now`; undefined for none. */
  readonly #deadlineMs: number | undefined;
  #values: ContextValues | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;

  constructor(method: DirectMethod, call: MethodCall) {
    const { timeoutMs, request } = call;
    this.#method = method;
    this.#call = call;
    this.#deadlineMs = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
    this.signals = new CallSignal(method.calls, this.#deadlineMs, request);
  }

  createContext(): DirectContext {
    const deadlineMs = this.#deadlineMs;
    return new DirectContext(
      this.#method.route.spec.method,
      "connect",
      this,
      deadlineMs === undefined ? noTimeout : () => deadlineMs - Date.now(),
      callUrlOf(this.#call, this.#method.requestPath),
    );
  }

  signal(): AbortSignal {
    return this.signals.signal;
  }

  values(): ContextValues {
    this.#values ??= this.#call.request.contextValues ?? createContextValues();
    return this.#values;
  }

  requestHeader(): Headers {
    this.#requestHeader ??= callHeadersOf(this.#call);
    return this.#requestHeader;
  }

  responseHeader(): Headers {
    this.#responseHeader ??= new Headers({ "content-type": "application/proto" });
    return this.#responseHeader;
  }

  responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  /** The headers and trailers that were set, as Connect's unary protocol sends them. */
  answerHeader(): Headers | undefined {
    if (this.#responseHeader === undefined && this.#responseTrailer === undefined) return undefined;
    const header = trailerMux(this.responseHeader(), this.responseTrailer());
    deleteHopHeaders(header);
    return header;
  }

  /**
   * End the call with an error, and give it the form in which it comes over the wire: that of a
   * handler keeps its cause, and what it is made of, to itself.
   */
  fail(cause: unknown): ConnectError {
    this.signals.end(cause ?? callEnded);
    const error =
      cause instanceof ConnectError ? cause : new ConnectError("internal error", Code.Internal);
    const { code, metadata } = error;
    metadata.forEach((value, name) => {
      this.responseHeader().set(name, value);
    });
    const bytes = errorToJsonBytes(error, this.#method.route.options.jsonOptions);
    const message = `the handler answered ${codeToHttpStatus(code)}`;
    const fallback = new ConnectError(message, Code.Internal);
    return errorFromJsonBytes(bytes, this.answerHeader(), fallback);
  }
}

const noTimeout = () => undefined;
