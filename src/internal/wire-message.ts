import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { CallEnd } from "./call-end.js";

/** A message in its encoded form. The sender copies the bytes and does not encode again. */
export interface WireMessage {
  readonly byteLength: number;
  /** Write all of it to `target` from `at` on, and return where it ends. */
  writeTo(target: Uint8Array, at: number): number;
}

/**
 * The receiver of the response to one call. One of the two methods is called, once, and neither
 * throws.
 */
export interface EncodedResponder {
  /** Aborted as soon as the caller no longer waits for the response. */
  readonly end: CallEnd;
  send(message: WireMessage): void;
  fail(error: unknown): void;
}

/** An implementation of a unary method that responds with an encoded message. */
export interface EncodedHandler<Request> {
  /**
   * Never throws. Does not return a promise, because pending promises take more memory than the
   * rest of a waiting call.
   *
   * @param request of the method that it is registered for.
   */
  answer(request: Request, context: HandlerContext, reply: EncodedResponder): void;
}

const encodedHandlers = new WeakMap<object, EncodedHandler<Message>>();

/**
 * Registers encoded responses for a method's implementation. Servers that can send encoded
 * responses use them unless an interceptor needs the message.
 */
export function registerEncodedHandler<Request extends Message>(
  implementation: (request: Request, context: HandlerContext) => unknown,
  answers: EncodedHandler<Request>,
): void {
  encodedHandlers.set(implementation, answers);
}

/** Returns undefined if the value is not an implementation or has no encoded responses. */
export function encodedHandlerOf(implementation: unknown): EncodedHandler<Message> | undefined {
  return typeof implementation === "function" ? encodedHandlers.get(implementation) : undefined;
}
