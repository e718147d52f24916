import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import { type CallGroup, createCallGroup } from "../direct/call-group.js";
import { CallSignal, callEnded } from "../direct/call-signal.js";
import {
  codeToHttpStatus,
  createMethodSerializationLookup,
  errorFromJsonBytes,
  errorToJsonBytes,
  parseConnectTimeout,
  readAllBytes,
  type Serialization,
  trailerMux,
  type UniversalHandler,
} from "../direct/connect-protocol.js";
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

/** The parts that the calls of one method share. */
export interface DirectMethod {
  readonly route: UnaryRoute;
  readonly requestPath: string;
  readonly input: Serialization<MessageShape<DescMessage>>;
  readonly output: Serialization<MessageShape<DescMessage>>;
  readonly calls: CallGroup;
}

/** Returns the method of a handler for calls without the handler; undefined if it is not known. */
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
 * Calls the implementation of a method as its handler does, without the handler: its interceptors,
 * limits, deadline, signal and context values apply. Headers and signals are made on demand.
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
    // Most handlers of a small response return it at once, and a microtask costs time.
    answered = isPromise(invoked) ? await invoked : invoked;
    // Bounds the size, and refuses values that the fields' types do not have.
    method.output.serialize(answered);
  } catch (cause) {
    throw parts.fail(cause);
  }
  parts.signals.end(callEnded);
  return { message: answered, header: parts.answerHeader() };
}

/** Checks the limits that Connect's handler checks before the call, with the same errors. */
async function inputOf(
  { route, input }: DirectMethod,
  message: Uint8Array,
  { timeoutMs }: MethodCall,
): Promise<MessageShape<DescMessage>> {
  const { maxTimeoutMs, readMaxBytes } = route.options;
  if (timeoutMs !== undefined && timeoutMs > maxTimeoutMs) {
    throw parseConnectTimeout(String(timeoutMs), maxTimeoutMs).error;
  }
  if (message.byteLength > readMaxBytes) await readAllBytes(oneChunk(message), readMaxBytes, null);
  return input.parse(message);
}

/** The headers, the signal and the context values of a call. */
class CallParts implements LazyParts {
  readonly signals: CallSignal;
  readonly #method: DirectMethod;
  readonly #call: MethodCall;
  /** The deadline on the clock of `Date.now`; undefined if the call has no deadline. */
  readonly #deadlineMs: number | undefined;
  #values: ContextValues | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;

  constructor(method: DirectMethod, call: MethodCall) {
    const { timeoutMs, request } = call;
    this.#method = method;
    this.#call = call;
    this.#deadlineMs = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
    this.signals = new CallSignal(method.calls, this.#deadlineMs, request);
  }

  createContext(): DirectContext {
    const deadlineMs = this.#deadlineMs;
    return new DirectContext(
      this.#method.route.spec.method,
      "connect",
      this,
      deadlineMs === undefined ? noTimeout : () => deadlineMs - performance.now(),
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

  /** Returns the headers and trailers that were set, as Connect's unary protocol sends them. */
  answerHeader(): Headers | undefined {
    if (this.#responseHeader === undefined && this.#responseTrailer === undefined) return undefined;
    const header = trailerMux(this.responseHeader(), this.responseTrailer());
    deleteHopHeaders(header);
    return header;
  }

  /**
   * Ends the call with an error, in the form that the error has on the wire: without its cause and
   * its class.
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
