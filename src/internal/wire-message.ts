import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { CallEnd } from "./call-end.js";

/** A message as the bytes that are sent for it: who sends it copies them, and nothing is encoded. */
export interface WireMessage {
  readonly byteLength: number;
  /** Write all of it to `target` from `at` on, and return where it ends. */
  writeTo(target: Uint8Array, at: number): number;
}

/** Where the answer to one call goes: one of the two is called, once, and neither throws. */
export interface WireReply {
  /** Over as soon as nobody waits for the answer any more. */
  readonly end: CallEnd;
  send(message: WireMessage): void;
  fail(error: unknown): void;
}

/** What answers a unary method with a message in its wire form. */
export interface WireAnswers<Request> {
  /**
   * Never throws. No promise: those that stand still while a call waits take more than the wait.
   *
   * @param request of the method that it is registered for.
   */
  answer(request: Request, context: HandlerContext, reply: WireReply): void;
}

const answersByImplementation = new WeakMap<object, WireAnswers<Message>>();

/**
 * Have the answers of a method's implementation be there in their wire form as well, for
 * servers that can send that: as long as nobody comes in between who wants the message.
 */
export function provideWireAnswers<Request extends Message>(
  implementation: (request: Request, context: HandlerContext) => unknown,
  answers: WireAnswers<Request>,
): void {
  answersByImplementation.set(implementation, answers);
}

/** Undefined for what is no implementation, or one without a wire form. */
export function wireAnswersOf(implementation: unknown): WireAnswers<Message> | undefined {
  return typeof implementation === "function"
    ? answersByImplementation.get(implementation)
    : undefined;
}
