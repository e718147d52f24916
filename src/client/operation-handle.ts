import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type CallOptions, Code } from "@connectrpc/connect";
import type { OperationTypes } from "../operation/long-running.js";
import { type Outcome, outcomeOf } from "../operation/outcome.js";
import type { Operation } from "../protos.js";
import { type LookTimes, type OperationCalls, routed } from "./operation-calls.js";
import { OperationError } from "./operation-error.js";
import { nextDelayMs, type PollOptions, pollSchedule } from "./poll-options.js";

/** A state that an operation was seen in. */
export type Snapshot<R extends DescMessage, M extends DescMessage> = Outcome<
  MessageShape<R>,
  MessageShape<M>
> & {
  /** The Operation as the server sent it. */
  readonly operation: Operation;
};

/**
 * One operation on a server. Awaiting a handle gives the handle; nothing is asked
 * of the server before somebody iterates it or calls `result()`.
 *
 * Iterating it yields the states it is seen in, the present one first and the
 * final one last; `break` stops the looking, and the operation goes on.
 */
export interface OperationHandle<
  R extends DescMessage = DescMessage,
  M extends DescMessage = DescMessage,
> extends AsyncIterable<Snapshot<R, M>> {
  readonly name: string;
  /** The latest state that was seen through this handle; final once it is done. */
  readonly snapshot: Snapshot<R, M>;
  /**
   * Wait for the response. Once the operation is done every further call settles
   * at once, from memory.
   *
   * @throws OperationError if the operation failed or was cancelled.
   * @throws ConnectError if asking for it failed, which says nothing of the operation;
   *   `Code.Canceled` if the signal aborted; `Code.Internal` if what the server
   *   sent cannot be read as what the method declares.
   */
  result(options?: PollOptions): Promise<MessageShape<R>>;
  /** The states it is seen in, as iterating does, with options. */
  watch(options?: PollOptions): AsyncIterable<Snapshot<R, M>>;
  /**
   * Ask the server to cancel it; resolves when the server has taken note. Whether
   * it worked shows in the result.
   */
  cancel(options?: CallOptions): Promise<void>;
  /** Tell the server that nobody wants the result any more; the work goes on. */
  delete(options?: CallOptions): Promise<void>;
}

/** One WaitOperation call of `result()` is held at most this long. */
const resultSliceMs = 30_000;

/** @internal */
export function createOperationHandle<R extends DescMessage, M extends DescMessage>(
  calls: OperationCalls,
  types: OperationTypes<R, M>,
  first: Operation,
): OperationHandle<R, M> {
  const { name } = first;
  let snapshot = snapshotOf(first, types);

  const isDone = () => snapshot.kind !== "running";

  /** Look once more, after a pause. A done operation does not change. */
  const look = async (times: LookTimes, signal: AbortSignal | undefined) => {
    const operation = await calls.stateAfter(name, times, signal);
    if (!isDone()) snapshot = snapshotOf(operation, types);
  };

  const watch = async function* (options: PollOptions = {}) {
    const schedule = pollSchedule(options);
    yield snapshot;
    let delayMs = schedule.initialDelayMs;
    while (!isDone()) {
      await look({ waitMs: delayMs, sleepMs: delayMs }, options.signal);
      delayMs = nextDelayMs(delayMs, schedule);
      yield snapshot;
    }
  };

  return {
    name,
    get snapshot() {
      return snapshot;
    },
    async result(options = {}) {
      const schedule = pollSchedule(options);
      let delayMs = schedule.initialDelayMs;
      while (snapshot.kind === "running") {
        await look({ waitMs: resultSliceMs, sleepMs: delayMs }, options.signal);
        delayMs = nextDelayMs(delayMs, schedule);
      }
      if (snapshot.kind === "succeeded") return snapshot.response;
      const kind = snapshot.error.code === Code.Canceled ? "cancelled" : "failed";
      throw new OperationError(kind, snapshot.error, snapshot.operation);
    },
    watch,
    [Symbol.asyncIterator]: () => watch(),
    async cancel(options) {
      await calls.rpc.cancelOperation({ name }, routed(name, options));
    },
    async delete(options) {
      await calls.rpc.deleteOperation({ name }, routed(name, options));
    },
  };
}

function snapshotOf<R extends DescMessage, M extends DescMessage>(
  operation: Operation,
  types: OperationTypes<R, M>,
): Snapshot<R, M> {
  return { ...outcomeOf(operation, types), operation };
}
