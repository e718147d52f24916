import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import { isPromise, type MaybePromise } from "../internal/is-promise.js";
import type { EncodedResponder, WireMessage } from "../internal/wire-message.js";
import type { CallGroup } from "./call-group.js";
import { CallSignal } from "./call-signal.js";
import { invokeUnaryImplementation } from "./connect-protocol.js";
import { type ContextParts, DirectContext } from "./direct-context.js";
import type { UnaryRoute } from "./recording-router.js";

/** A unary method that is called without Connect's handlers. */
export interface DirectMethod {
  readonly route: UnaryRoute;
  /** The calls of the method that are notified of their end. */
  readonly calls: CallGroup;
}

/** The parts of a call that its protocol knows. */
export interface CallStart {
  /** The protocol of the context, such as "grpc". */
  readonly protocolName: string;
  /** In milliseconds; undefined if the call has no deadline. */
  readonly timeoutMs: number | undefined;
  /** Its signal aborts the call's. Undefined if the protocol ends the call itself. */
  readonly request: { readonly signal: AbortSignal } | undefined;
}

/**
 * One call of a method's implementation, as Connect's handler makes it: interceptors, deadline,
 * signal and context values apply. The call creates its headers, its signal and its context
 * values when the handler or an interceptor first reads them.
 *
 * A protocol extends it with its headers and with the three ways in which a call ends. It is one
 * object for each call, because a waiting call holds little memory other than this object.
 */
export abstract class DirectCall implements ContextParts, EncodedResponder {
  /** Aborts when the client no longer waits for the response. */
  readonly end: CallSignal;
  protected readonly context: DirectContext;
  protected readonly route: UnaryRoute;
  #values: ContextValues | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;

  constructor({ route, calls }: DirectMethod, { protocolName, timeoutMs, request }: CallStart) {
    const deadlineMs = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
    this.route = route;
    this.end = new CallSignal(calls, deadlineMs, request);
    const timeLeft = deadlineMs === undefined ? noTimeout : timeLeftUntil(deadlineMs);
    this.context = new DirectContext(route.spec.method, protocolName, this, timeLeft);
  }

  /** Ends the call with a message. */
  protected abstract respond(message: MessageShape<DescMessage>): void;
  /** Ends the call with an encoded message. */
  abstract send(message: WireMessage): void;
  /** Ends the call with an error of any kind. */
  abstract fail(error: unknown): void;
  abstract url(): string;
  protected abstract createRequestHeader(): Headers;
  protected abstract createResponseHeader(): Headers;
  protected abstract createResponseTrailer(): Headers;

  /**
   * Calls the implementation. The call ends before this returns if the implementation returns its
   * response synchronously.
   *
   * @param takesEncoded Whether `send` may be called. If not, the response is a message.
   */
  protected invoke(message: MessageShape<DescMessage>, takesEncoded: boolean): void {
    const { encoded } = this.route;
    try {
      if (takesEncoded && encoded !== undefined) {
        encoded.answer(message, this.context, this);
        return;
      }
      const invoked = invokeUnary(this.route, this.context, message);
      // Most handlers of small responses return them synchronously, and a microtask is not free.
      if (!isPromise(invoked)) this.respond(invoked);
      else {
        invoked.then(
          (response) => this.respond(response),
          (error: unknown) => this.fail(error),
        );
      }
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * Checks the size of an encoded response.
   *
   * @throws ConnectError RESOURCE_EXHAUSTED, as Connect's handlers do.
   */
  protected assertWritable(byteLength: number): void {
    const { writeMaxBytes } = this.route.options;
    if (byteLength > writeMaxBytes) throw messageTooLarge(byteLength, { writeMaxBytes });
  }

  /** Sets the context values. Default: new ones when they are first read. */
  protected useValues(values: ContextValues | undefined): void {
    this.#values = values;
  }

  signal(): AbortSignal {
    return this.end.signal;
  }

  values(): ContextValues {
    this.#values ??= createContextValues();
    return this.#values;
  }

  requestHeader(): Headers {
    this.#requestHeader ??= this.createRequestHeader();
    return this.#requestHeader;
  }

  responseHeader(): Headers {
    this.#responseHeader ??= this.createResponseHeader();
    return this.#responseHeader;
  }

  responseTrailer(): Headers {
    this.#responseTrailer ??= this.createResponseTrailer();
    return this.#responseTrailer;
  }

  /** The headers of the response; undefined if no code has read them. */
  protected get readResponseHeader(): Headers | undefined {
    return this.#responseHeader;
  }

  /** The trailers of the response; undefined if no code has read them. */
  protected get readResponseTrailer(): Headers | undefined {
    return this.#responseTrailer;
  }
}

/** Calls a unary method through its interceptors. Returns the response synchronously if the handler does. */
function invokeUnary(
  { spec, options: { interceptors } }: UnaryRoute,
  context: DirectContext,
  message: MessageShape<DescMessage>,
): MaybePromise<MessageShape<DescMessage>> {
  if (interceptors.length > 0) {
    return invokeUnaryImplementation(spec, context, message, interceptors);
  }
  const { output } = spec.method;
  const answer = spec.impl(message, context);
  return isPromise(answer) ? answer.then((init) => create(output, init)) : create(output, answer);
}

/** Returns the error of a call as its client sees it. Only a ConnectError shows its message. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}

/**
 * Returns RESOURCE_EXHAUSTED for a message that is too large, in the words of Connect's handlers.
 *
 * @param byteLength Undefined for the words of a message whose size was not announced.
 * @param bound The option that the message exceeds, with its value.
 */
export function messageTooLarge(
  byteLength: number | undefined,
  bound: Readonly<Record<string, number>>,
): ConnectError {
  const [[option, most] = ["", 0]] = Object.entries(bound);
  const size = byteLength === undefined ? "" : ` ${byteLength}`;
  const message = `message size${size} is larger than configured ${option} ${most}`;
  return new ConnectError(message, Code.ResourceExhausted);
}

const noTimeout = () => undefined;

/** Returns the implementation of a context's `timeoutMs`. */
function timeLeftUntil(deadlineMs: number): () => number {
  const endMs = Math.trunc(deadlineMs);
  return () => endMs - performance.now();
}
