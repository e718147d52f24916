import { AnySchema } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { type Clock, monotonicMs } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import { type Operation, Operations } from "../protos.js";
import type { OperationsClient } from "./operations-client.js";
import { createBackoff } from "./poll-policy.js";
import { retryDelayMs } from "./retry-delay.js";

/** Delays between the polls of a server without WaitOperation. */
const poll = { initialDelayMs: 500, maxDelayMs: 5000 };

/** Time limit of the first poll, in milliseconds. */
const firstPollTimeoutMs = 30_000;

/** Most tries of the first poll, as many as a wait's later polls have. */
const maxFirstPolls = 10;

/** A method with payloads of any type. Callers read the operation of each snapshot and nothing else. */
const anyMethod: LongRunningMethod = {
  method: Operations.method.getOperation,
  response: AnySchema,
  metadata: AnySchema,
};

/** Limits of following one operation. */
export interface StatesOptions {
  readonly clock: Clock;
  /** Ends the iteration; the operation goes on. */
  readonly signal: AbortSignal;
  /** In milliseconds. Undefined: no limit. */
  readonly timeoutMs: number | undefined;
}

/**
 * Iterates over the states of an operation as they change, the current one first and the final one
 * last. Transient errors of the server are tolerated, including at the first poll.
 *
 * @throws ConnectError of the first poll.
 * @throws OperationError of kind `gone`, `poll`, `timeout` or `aborted`.
 */
export async function* operationStates(
  client: OperationsClient,
  name: string,
  { clock, signal, timeoutMs }: StatesOptions,
): AsyncGenerator<Operation, void> {
  const startMs = monotonicMs(clock);
  const leftMs = () =>
    timeoutMs === undefined ? undefined : Math.max(0, timeoutMs - (monotonicMs(clock) - startMs));
  const backoff = createBackoff(poll);
  const resume = () =>
    client.resume(anyMethod, name, {
      signal,
      timeoutMs: Math.max(
        1,
        Math.ceil(Math.min(leftMs() ?? firstPollTimeoutMs, firstPollTimeoutMs)),
      ),
    });
  let handle: Awaited<ReturnType<typeof resume>> | undefined;
  for (let tried = 1; handle === undefined; tried += 1) {
    try {
      handle = await resume();
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      const delayMs = Math.max(backoff.delayMs(tried), retryDelayMs(error, clock.nowMs()));
      const isLast = tried === maxFirstPolls || (leftMs() ?? delayMs) < delayMs;
      // An error with a cause was made in this process, so the connection to the server failed.
      const isFinal = error.cause !== undefined || !backoff.isTransient(error);
      if (signal.aborted || isLast || isFinal) throw thrown;
      await sleep(clock, delayMs, signal);
    }
  }
  for await (const { operation } of handle.watch({ signal, timeoutMs: leftMs(), poll })) {
    yield operation;
  }
}
