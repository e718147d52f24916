import { type Clock, systemClock } from "../../internal/clock.js";
import { atLeastOne } from "../../internal/option-bounds.js";
import type { Delivery, DispatchedOperation, Dispatcher, Settlement } from "../dispatcher.js";
import { queueFull } from "../errors.js";
import type { Transaction } from "../operation-store.js";
import { afterCommit } from "./after-commit.js";
import { createFairQueue, type FairQueue } from "./fair-queue.js";

/** Limits and clock of an in-process dispatcher. */
export interface InProcessDispatcherOptions {
  /** How many operations run side by side at most, at least 1. Default: 100. */
  maxConcurrent?: number | undefined;
  /**
   * How many wait for their turn at most, at least 1, those among them that were
   * cancelled meanwhile; a start beyond that is refused with RESOURCE_EXHAUSTED.
   * Default: 100,000.
   */
  maxQueued?: number | undefined;
  /** Measures time. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** The queue and the runs of one method. */
interface Served {
  readonly queue: FairQueue<DispatchedOperation>;
  /** Runs an operation; undefined until `serve` was called. */
  run: ((delivery: Delivery) => Promise<Settlement>) | undefined;
  maxConcurrent: number;
  running: number;
}

/**
 * Creates a queue in this process. Methods take turns, and so do the tenants of each method. The
 * operations of one tenant and method run in the order of their dispatch.
 *
 * @throws RangeError if a bound is not a whole number of at least 1.
 * @example
 * const operations = createOperations({ dispatcher: createInProcessDispatcher({ maxConcurrent: 4 }) });
 */
export function createInProcessDispatcher(options: InProcessDispatcherOptions = {}): Dispatcher {
  const maxConcurrent = atLeastOne("maxConcurrent", options.maxConcurrent ?? 100);
  const maxQueued = atLeastOne("maxQueued", options.maxQueued ?? 100_000);
  const clock = options.clock ?? systemClock;
  const methods = new Map<string, Served>();
  /** All methods, the one whose turn it is first. */
  const turns: Served[] = [];
  const underWay = new Set<Promise<void>>();
  const delayed = new Set<() => void>();
  /** The names of operations that will be dispatched. */
  const reserved = new Set<string>();
  let queued = 0;
  /** `draining`: queued operations still run. `stopped`: no further operation begins. */
  let state: "running" | "draining" | "stopped" = "running";
  let onIdle: (() => void)[] = [];

  const servedOf = (method: string): Served => {
    let served = methods.get(method);
    if (served === undefined) {
      const unbounded = Number.POSITIVE_INFINITY;
      const queue = createFairQueue<DispatchedOperation>();
      served = { queue, run: undefined, maxConcurrent: unbounded, running: 0 };
      methods.set(method, served);
      turns.push(served);
    }
    return served;
  };

  const put = (operation: DispatchedOperation) => {
    servedOf(operation.method).queue.put(operation.tenant ?? "", operation);
    queued += 1;
    startNext();
  };

  const canRun = ({ queue, run, running, maxConcurrent }: Served) =>
    run !== undefined && running < maxConcurrent && queue.size() > 0;

  const startNext = () => {
    while (state !== "stopped" && underWay.size < maxConcurrent) {
      const at = turns.findIndex(canRun);
      const served = turns[at];
      const operation = served?.queue.take();
      if (served === undefined || operation === undefined) break;
      turns.splice(at, 1);
      turns.push(served);
      queued -= 1;
      start(served, operation);
    }
    if (onIdle.length > 0 && isIdle()) {
      for (const resolve of onIdle) resolve();
      onIdle = [];
    }
  };

  /** Whether nothing runs, and nothing will. */
  const isIdle = () =>
    underWay.size === 0 && (state === "stopped" || (delayed.size === 0 && !turns.some(canRun)));

  const start = (served: Served, operation: DispatchedOperation) => {
    served.running += 1;
    const run = deliver(served, operation).finally(() => {
      served.running -= 1;
      underWay.delete(run);
      startNext();
    });
    underWay.add(run);
  };

  const deliver = async ({ run }: Served, operation: DispatchedOperation): Promise<void> => {
    // No other process exists that could take the operation.
    const settlement = (await run?.({ ...operation, signal: undefined })) ?? failedRun;
    if (settlement.kind === "retry" || settlement.kind === "continue") {
      later(operation, settlement.delayMs);
    }
  };

  const later = (operation: DispatchedOperation, delayMs: number) => {
    if (state === "stopped") return;
    const unschedule = clock.schedule(delayMs, () => {
      delayed.delete(unschedule);
      put(operation);
    });
    delayed.add(unschedule);
  };

  /** How many operations of a method would not have to wait. */
  const freeSlots = (method: string) => {
    const served = methods.get(method);
    if (served?.run === undefined) return 0;
    return Math.min(maxConcurrent - underWay.size, served.maxConcurrent - served.running);
  };

  const assertRoomFor = (operations: number, method: string) => {
    const waiting = queued + delayed.size + operations;
    const mayWait = waiting + reserved.size - Math.max(0, freeSlots(method));
    if (waiting > maxQueued || mayWait > maxQueued) throw queueFull(maxQueued);
  };

  /** Keeps a place for each of these until the transaction is over, if that will be known. */
  const reserveWithin = (operations: readonly DispatchedOperation[], transaction: Transaction) => {
    if (transaction.afterRollback === undefined) return;
    for (const { name } of operations) reserved.add(name);
    transaction.afterRollback(() => {
      for (const { name } of operations) reserved.delete(name);
    });
  };

  return {
    isDurable: false,
    async dispatch(operations, dispatchOptions) {
      const unreserved = operations.filter(({ name }) => !reserved.has(name));
      const [first] = unreserved;
      if (first !== undefined) assertRoomFor(unreserved.length, first.method);
      afterCommit(dispatchOptions, "in-process dispatcher", () => {
        for (const { name, method, tenant } of operations) {
          reserved.delete(name);
          put({ name, method, tenant });
        }
      });
      const transaction = dispatchOptions?.transaction;
      if (transaction !== undefined) reserveWithin(operations, transaction);
    },
    serve(method, run, serveOptions = {}) {
      const served = servedOf(method);
      served.maxConcurrent =
        serveOptions.maxConcurrent === undefined
          ? Number.POSITIVE_INFINITY
          : atLeastOne("maxConcurrent", serveOptions.maxConcurrent);
      served.run = async (delivery) => {
        try {
          return await run(delivery);
        } catch {
          return failedRun;
        }
      };
      startNext();
    },
    reserve({ name, method }) {
      assertRoomFor(1, method);
      reserved.add(name);
    },
    queued: () => queued + delayed.size,
    stop({ finishQueued = false } = {}) {
      if (state !== "stopped") state = finishQueued ? "draining" : "stopped";
      if (state === "stopped") {
        for (const unschedule of delayed) unschedule();
        delayed.clear();
      }
      return new Promise((resolve) => {
        onIdle.push(resolve);
        startNext();
      });
    },
  };
}

/** The settlement of a run that rejected, which its contract forbids. */
const failedRun: Settlement = { kind: "retry", delayMs: 1000 };
