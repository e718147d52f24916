import type { Clock } from "../internal/clock.js";
import { afterGraceMs, type ClosingSteps } from "../internal/closing.js";
import { settlesWithin } from "../internal/settles-within.js";
import type { Dispatcher } from "../store/dispatcher.js";
import type { OperationStore } from "../store/operation-store.js";
import type { Signals } from "../store/signals.js";
import { draining, serverClosed } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import type { Housekeeping } from "./housekeeping.js";
import type { OperationWaiters } from "./operation-waiters.js";
import type { OperationWriter } from "./operation-writer.js";
import type { RunLoop } from "./run-loop.js";
import { storedError } from "./stored-result.js";

/** The parts of an operations server that are stopped when it closes. */
export interface ClosingDeps {
  store: OperationStore;
  dispatcher: Dispatcher;
  signals: Signals;
  clock: Clock;
  log: (event: OperationsEvent) => void;
  writer: OperationWriter;
  waiters: OperationWaiters;
  runLoop: RunLoop;
  housekeeping: Housekeeping;
  startsUnderWay: ReadonlySet<Promise<unknown>>;
  /** Whether this program has created, reported on or ended external operations. */
  drivesExternal: () => boolean;
  /** Aborted as soon as the server is not ready. */
  notReady: Pick<AbortController, "abort">;
  /** Aborted as soon as starts are refused. */
  stopRecovery: Pick<AbortController, "abort">;
}

/** How long work has to stop after its signal has aborted, in milliseconds. */
const stopWorkMs = 400;

/** How long the waits have to be answered after that, in milliseconds. */
const answerWaitsMs = 200;

/** The longest time from the end of the grace until the store is closed, in milliseconds. */
export const handOverLimitMs = afterGraceMs - 200;

/**
 * Returns the steps of closing an operations server.
 *
 * Work that runs when draining begins may end within the grace period. Waits are held until then.
 * If a wait's operation ends in time, the wait returns its result. Then the signals of the work
 * that still runs abort, and its operations are queued again.
 *
 * With a durable store the remaining waits are answered with the latest state: another replica, or
 * the next process, runs the operation. A store that is not durable ends with the process. So the
 * queue of this process runs dry within the grace, too, and an operation that a call still waits
 * for ends ABORTED, reason `SERVER_CLOSED`. Waits for external operations are held if this program
 * drives them, and get the latest state.
 */
export function createClosingSteps(deps: ClosingDeps): ClosingSteps {
  const { store, dispatcher, signals, clock, log, writer, waiters, runLoop, housekeeping } = deps;
  const isLostWithProcess = store.isDurable === false;

  /** Ends an operation that this process has not finished and no other process will. */
  const endUnfinished = async (name: string) => {
    const found = await store.get(name);
    if (found === undefined || found.state === "done" || found.external) return;
    const result = storedError(serverClosed());
    const claimed =
      found.state === "queued" ? await store.claim(name, { restartLost: false }) : found;
    if (claimed === undefined || !(await writer.finish(claimed, result))) {
      await writer.write(
        (transaction) => store.requestCancel(name, result, { transaction }),
        () => "done",
      );
    }
  };

  return {
    notReady() {
      deps.notReady.abort(draining());
    },
    async drain() {
      deps.stopRecovery.abort(draining());
      // The grace period limits a start that hangs.
      await Promise.allSettled(deps.startsUnderWay);
      await dispatcher.stop({ finishQueued: isLostWithProcess });
      // This program may end external operations until the grace period is over.
      if (isLostWithProcess && deps.drivesExternal()) await waiters.idle();
    },
    async handOver() {
      const stopped = dispatcher.stop();
      runLoop.handOver();
      if (!(await settlesWithin(stopped, clock, stopWorkMs))) {
        log({ kind: "work-abandoned", names: runLoop.running() });
      }
      const answered = async () => {
        if (isLostWithProcess) await Promise.allSettled(waiters.names().map(endUnfinished));
        waiters.drain();
        await waiters.idle();
      };
      await settlesWithin(answered(), clock, answerWaitsMs);
      waiters.fail(draining());
    },
    async close() {
      writer.close();
      housekeeping.close();
      dispatcher.abandon?.();
      const closed = await Promise.allSettled([signals.close(), store.close()]);
      for (const outcome of closed) {
        if (outcome.status === "rejected") {
          log({ kind: "store-failed", action: "close", cause: outcome.reason });
        }
      }
    },
  };
}
