import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";

/** A message as the bytes that are sent for it: who sends it copies them, and nothing is encoded. */
export interface WireMessage {
  readonly byteLength: number;
  /** Write all of it to `target` from `at` on, and return where it ends. */
  writeTo(target: Uint8Array, at: number): number;
}

/** What answers a unary method with a message in its wire form. */
export interface WireAnswers<Request> {
  /** @param request of the method that it is registered for. */
  answer(request: Request, context: HandlerContext): Promise<WireMessage>;
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
