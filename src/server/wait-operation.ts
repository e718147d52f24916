import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import { type EncodedResponder, registerEncodedHandler } from "../internal/wire-message.js";
import type { Operation, WaitOperationRequest } from "../protos.js";
import type { OperationRecord } from "../store/operation-store.js";
import { invalidField, operationNotFound } from "./errors.js";
import {
  observeResponse,
  type ResponseEvents,
  toClientError,
  withConnectErrors,
} from "./method-handler.js";
import { EncodedOperation, operationMessage, type ToView } from "./operation-view.js";
import type { OperationWaiters, WaitResponder } from "./operation-waiters.js";

/** Dependencies of WaitOperation. */
export interface WaitOperationDeps extends ResponseEvents {
  waiters: OperationWaiters;
  toView: ToView;
  /** The longest time for which one call is held, in milliseconds. */
  maxWaitMs: number;
}

const action = "WaitOperation";

/**
 * Makes WaitOperation, with a message or an encoded response. A call for the encoded response holds
 * no promise while it waits, because its waiter sends the response.
 *
 * @param authorize Rejects if the caller may not wait for the operation or it does not exist.
 */
export function createWaitOperation(
  deps: WaitOperationDeps,
  authorize: (name: string, context: HandlerContext) => Promise<void>,
): (request: WaitOperationRequest, context: HandlerContext) => Promise<Operation> {
  const { waiters, toView, maxWaitMs } = deps;

  const implementation = withConnectErrors(
    action,
    async ({ name, timeout }: WaitOperationRequest, context: HandlerContext) => {
      await authorize(name, context);
      const timeoutMs = waitTimeoutMs(timeout, maxWaitMs, context);
      const record = await new Promise<OperationRecord | undefined>((settle, fail) => {
        waiters.wait(name, timeoutMs, context.signal, { settle, fail });
      });
      if (record === undefined) throw operationNotFound(name);
      return operationMessage(toView(record));
    },
    deps,
  );

  registerEncodedHandler<WaitOperationRequest>(implementation, {
    answer({ name, timeout }, context, reply) {
      const responder = new EncodedWait(name, reply, deps);
      authorize(name, context)
        .then(() => {
          waiters.wait(name, waitTimeoutMs(timeout, maxWaitMs, context), reply.end, responder);
        })
        .catch((cause: unknown) => responder.fail(cause));
    },
  });
  return implementation;
}

/** A call that waits for an encoded response. */
class EncodedWait implements WaitResponder {
  constructor(
    private readonly name: string,
    private readonly reply: EncodedResponder,
    private readonly deps: WaitOperationDeps,
  ) {}

  settle(record: OperationRecord | undefined): void {
    if (record === undefined) {
      this.fail(operationNotFound(this.name));
      return;
    }
    try {
      this.reply.send(new EncodedOperation(this.deps.toView(record)));
      observeResponse(action, this.deps);
    } catch (cause) {
      this.fail(cause);
    }
  }

  fail(cause: unknown): void {
    this.reply.fail(toClientError(action, cause, this.deps));
  }
}

/**
 * Returns how long one call waits: the shortest of the request's timeout, the server's limit, and
 * the call's deadline minus a margin for the response, so that the client gets a state and not
 * DEADLINE_EXCEEDED.
 */
function waitTimeoutMs(
  timeout: Duration | undefined,
  maxWaitMs: number,
  context: HandlerContext,
): number {
  const wantedMs = timeout === undefined ? maxWaitMs : durationMs(timeout);
  if (wantedMs < 0) throw invalidField("timeout", `${wantedMs / 1000}s`, "must not be negative");
  const deadlineMs = context.timeoutMs() ?? Number.POSITIVE_INFINITY;
  const marginMs = Math.min(250, deadlineMs / 5);
  return Math.max(0, Math.min(wantedMs, maxWaitMs, deadlineMs - marginMs));
}
