import { type Clock, systemClock } from "../../internal/clock.js";
import { atLeastOne } from "../../internal/option-bounds.js";
import type { Delivery, DispatchedOperation, Dispatcher, Settlement } from "../dispatcher.js";
import { queueFull } from "../errors.js";
import { afterCommit } from "./after-commit.js";

/** How an in-process dispatcher is bounded and what time it goes by. */
export interface InProcessDispatcherOptions {
  /** How many operations run side by side at most, at least 1. Default: 100. */
  maxConcurrent?: number | undefined;
  /**
   * How many wait for their turn at most, at least 1, those among them that were
   * cancelled meanwhile; a start beyond that is refused with RESOURCE_EXHAUSTED.
   * Default: 100,000.
   */
  maxQueued?: number | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/**
 * A queue in this process, first come, first served.
 *
 * @throws RangeError for a bound that is no whole number of at least 1.
 */
export function createInProcessDispatcher(options: InProcessDispatcherOptions = {}): Dispatcher {
  const maxConcurrent = atLeastOne("maxConcurrent", options.maxConcurrent ?? 100);
  const maxQueued = atLeastOne("maxQueued", options.maxQueued ?? 100_000);
  const clock = options.clock ?? systemClock;
  const runners = new Map<string, (delivery: Delivery) => Promise<Settlement>>();
  const queue: DispatchedOperation[] = [];
  /** Those of methods that nobody serves yet. */
  const unserved: DispatchedOperation[] = [];
  const underWay = new Set<Promise<void>>();
  const delayed = new Set<() => void>();
  let stopped = false;

  const startNext = () => {
    while (!stopped && underWay.size < maxConcurrent) {
      const operation = queue.shift();
      if (operation === undefined) return;
      const runner = runners.get(operation.method);
      if (runner === undefined) {
        unserved.push(operation);
        continue;
      }
      const run = deliver(operation, runner).finally(() => {
        underWay.delete(run);
        startNext();
      });
      underWay.add(run);
    }
  };

  const deliver = async (
    operation: DispatchedOperation,
    run: (delivery: Delivery) => Promise<Settlement>,
  ): Promise<void> => {
    // Nobody can take an operation away from the one process there is.
    const { signal } = new AbortController();
    const settlement = await run({ ...operation, signal });
    if (settlement.kind === "retry") later(operation, settlement.delayMs);
  };

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
    isDurable: false,
    async dispatch({ name, method }, dispatchOptions) {
      if (queue.length + unserved.length + delayed.size >= maxQueued) throw queueFull(maxQueued);
      afterCommit(dispatchOptions, "in-process dispatcher", () => {
        queue.push({ name, method });
        startNext();
      });
    },
    serve(method, run) {
      runners.set(method, async (delivery) => {
        try {
          return await run(delivery);
        } catch {
          return failedRun;
        }
      });
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

/** What becomes of an operation whose run rejected, against its contract. */
const failedRun: Settlement = { kind: "retry", delayMs: 1000 };
