import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { provideWireAnswers, type WireMessage } from "../internal/wire-message.js";
import type { OperationsEvent } from "./events.js";
import { guarded, shownError } from "./guarded.js";

/** The two forms that an answer can have. */
export interface AnswerForms<Answer, Output> {
  toMessage(answer: Answer): Output;
  toWire(answer: Answer): WireMessage;
}

/** A guarded implementation of a method whose answer is there in its wire form as well. */
export function inBothForms<Request extends Message, Answer, Output>(
  action: string,
  answer: (request: Request, context: HandlerContext) => Promise<Answer>,
  { toMessage, toWire }: AnswerForms<Answer, Output>,
  log: (event: OperationsEvent) => void,
): (request: Request, context: HandlerContext) => Promise<Output> {
  const implementation = guarded(
    action,
    (request: Request, context: HandlerContext) => answer(request, context).then(toMessage),
    log,
  );
  provideWireAnswers<Request>(implementation, {
    answer(request, context, reply) {
      answer(request, context)
        .then((made) => reply.send(toWire(made)))
        .catch((cause: unknown) => reply.fail(shownError(action, cause, log)));
    },
  });
  return implementation;
}
