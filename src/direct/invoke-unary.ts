import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { invokeUnaryImplementation } from "./connect-protocol.js";
import type { UnaryRoute } from "./recording-router.js";

/** Calls a unary method through its interceptors. Returns the response synchronously if the handler does. */
export function invokeUnary(
  { spec, options: { interceptors } }: UnaryRoute,
  context: HandlerContext,
  message: MessageShape<DescMessage>,
): MessageShape<DescMessage> | Promise<MessageShape<DescMessage>> {
  if (interceptors.length > 0) {
    return invokeUnaryImplementation(spec, context, message, interceptors);
  }
  const { output } = spec.method;
  const answer = spec.impl(message, context);
  return isPromise(answer) ? answer.then((init) => create(output, init)) : create(output, answer);
}

/** Whether a handler's answer is still to come; one of any kind, not only Node's own. */
export function isPromise<T extends object>(answer: T | Promise<T>): answer is Promise<T> {
  return Object(answer) === answer && "then" in answer && typeof answer.then === "function";
}
