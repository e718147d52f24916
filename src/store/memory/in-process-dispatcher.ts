import { type Clock, systemClock } from "../../internal/clock.js";
import type { Delivery, DispatchedOperation, Dispatcher, Settlement } from "../dispatcher.js";
import { transactionUnsupported } from "../errors.js";

/** How an in-process dispatcher is bounded and what time it goes by. */
export interface InProcessDispatcherOptions {
  /** How many operations run side by side at most, at least 1. Default: 100. */
  maxConcurrent?: number | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/**
 * A queue in this process, first come, first served. What it holds is bounded by
 * the store: each operation stands in it at most once.
 *
 * @throws RangeError if `maxConcurrent` is not a whole number of at least 1.
 */
export function createInProcessDispatcher(options: InProcessDispatcherOptions = {}): Dispatcher {
  const maxConcurrent = options.maxConcurrent ?? 100;
  if (!Number.isInteger(maxConcurrent) || maxConcurrent < 1) {
    throw new RangeError(
      `maxConcurrent must be a whole number of at least 1, not ${maxConcurrent}`,
    );
  }
  const clock = options.clock ?? systemClock;
  const runners = new Map<string, (delivery: Delivery) => Promise<Settlement>>();
  const queue: DispatchedOperation[] = [];
  const underWay = new Set<Promise<void>>();
  const delayed = new Set<() => void>();
  let stopped = false;

  const startNext = () => {
    while (!stopped && underWay.size < maxConcurrent) {
      const operation = queue.shift();
      if (operation === undefined) return;
      const run = deliver(operation).finally(() => {
        underWay.delete(run);
        startNext();
      });
      underWay.add(run);
    }
  };

  const deliver = async (operation: DispatchedOperation): Promise<void> => {
    const run = runners.get(operation.method);
    // An operation of a method that is not served yet waits for its `serve`.
    if (run === undefined) {
      unserved.push(operation);
      return;
    }
    // Nobody can take an operation away from the one process there is.
    const { signal } = new AbortController();
    const settlement = await run({ ...operation, signal }).catch(failedRun);
    if (settlement.kind === "retry") later(operation, settlement.delayMs);
  };
  const unserved: DispatchedOperation[] = [];

  const later = (operation: DispatchedOperation, delayMs: number) => {
    if (stopped) return;
    const unschedule = clock.schedule(delayMs, () => {
      delayed.delete(unschedule);
      queue.push(operation);
      startNext();
    });
    delayed.add(unschedule);
  };

  return {
    async dispatch(operation, options) {
      if (options?.transaction !== undefined) {
        throw transactionUnsupported("in-process dispatcher");
      }
      queue.push({ name: operation.name, method: operation.method });
      startNext();
    },
    serve(method, run) {
      runners.set(method, run);
      for (const operation of unserved.splice(0)) queue.push(operation);
      startNext();
    },
    async stop() {
      stopped = true;
      for (const unschedule of delayed) unschedule();
      delayed.clear();
      await Promise.all(underWay);
    },
  };
}

/** How long an operation whose run rejected, against its contract, waits for the next. */
const failedRunDelayMs = 1000;

function failedRun(): Settlement {
  return { kind: "retry", delayMs: failedRunDelayMs };
}
