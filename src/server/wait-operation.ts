import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import { provideWireAnswers, type WireReply } from "../internal/wire-message.js";
import type { Operation, WaitOperationRequest } from "../protos.js";
import type { OperationRecord } from "../store/operation-store.js";
import { invalidField, operationNotFound } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import { guarded, shownError } from "./guarded.js";
import { operationMessage, type ShowRecord } from "./operation-message.js";
import type { OperationWaiters, WaitAnswer } from "./operation-waiters.js";
import { OperationWire } from "./operation-wire.js";

/** What WaitOperation stands on. */
export interface WaitOperationParts {
  waiters: OperationWaiters;
  showRecord: ShowRecord;
  /** Longest time that one call is held, in milliseconds. */
  maxWaitMs: number;
  log: (event: OperationsEvent) => void;
}

const action = "WaitOperation";

/**
 * WaitOperation in both forms. While a call waits in the wire form there is no promise for it,
 * but the waiter alone, which answers by itself.
 *
 * @param admit Rejects where the caller may not wait for the operation, or there is none.
 */
export function createWaitOperation(
  parts: WaitOperationParts,
  admit: (name: string, context: HandlerContext) => Promise<void>,
): (request: WaitOperationRequest, context: HandlerContext) => Promise<Operation> {
  const { waiters, showRecord, maxWaitMs, log } = parts;

  const implementation = guarded(
    action,
    async ({ name, timeout }: WaitOperationRequest, context: HandlerContext) => {
      await admit(name, context);
      const timeoutMs = waitTimeoutMs(timeout, maxWaitMs, context);
      const record = await new Promise<OperationRecord | undefined>((settle, fail) => {
        waiters.wait(name, timeoutMs, context.signal, { settle, fail });
      });
      if (record === undefined) throw operationNotFound(name);
      return operationMessage(showRecord(record));
    },
    log,
  );

  provideWireAnswers<WaitOperationRequest>(implementation, {
    answer({ name, timeout }, context, reply) {
      const answer = new WireWait(name, reply, parts);
      admit(name, context)
        .then(() => {
          waiters.wait(name, waitTimeoutMs(timeout, maxWaitMs, context), reply.end, answer);
        })
        .catch((cause: unknown) => answer.fail(cause));
    },
  });
  return implementation;
}

/** One call that waits. */
class WireWait implements WaitAnswer {
  constructor(
    private readonly name: string,
    private readonly reply: WireReply,
    private readonly parts: WaitOperationParts,
  ) {}

  settle(record: OperationRecord | undefined): void {
    if (record === undefined) {
      this.reply.fail(operationNotFound(this.name));
      return;
    }
    try {
      this.reply.send(new OperationWire(this.parts.showRecord(record)));
    } catch (cause) {
      this.fail(cause);
    }
  }

  fail(cause: unknown): void {
    this.reply.fail(shownError(action, cause, this.parts.log));
  }
}

/**
 * How long one WaitOperation call waits: the shortest of what the request asks
 * for, the server's cap, and the call's own deadline less a margin in which the
 * answer can travel, so that the client sees a state and not DEADLINE_EXCEEDED.
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
