import type { Delivery, DispatchedOperation, Settlement } from "../store/dispatcher.js";
import { connectionLost, handedOver } from "./errors.js";

/** The operations that run in this process, by name. */
export interface Runs {
  serve(
    method: string,
    run: (delivery: Delivery) => Promise<Settlement>,
    maxConcurrent: number | undefined,
  ): void;
  /**
   * Runs an operation, or joins its run if it is under way here: Restate delivers again after a lost
   * connection. Rejects if this process cannot run it, hands it over or has lost it, so that Restate
   * tries again.
   *
   * @param connection Aborts when the connection of this delivery has ended.
   */
  run(operation: DispatchedOperation, connection: AbortSignal): Promise<Settlement>;
  /** Counts a delivery until Restate has its end. */
  tracked(deliver: () => Promise<void>): Promise<void>;
  /** Takes no more. Resolves when nothing runs and Restate has all ends, or the time is over. */
  stop(flushMs: number): Promise<void>;
}

interface Served {
  readonly run: (delivery: Delivery) => Promise<Settlement>;
  readonly maxConcurrent: number;
  running: number;
  readonly waiting: (() => void)[];
}

interface UnderWay {
  readonly settlement: Promise<Settlement>;
  readonly lost: AbortController;
  connections: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export function createRuns(options: {
  readonly maxConcurrent: number;
  readonly rejoinMs: number;
}): Runs {
  const methods = new Map<string, Served>();
  const underWay = new Map<string, UnderWay>();
  const whole: { running: number; waiting: (() => void)[] } = { running: 0, waiting: [] };
  let delivering = 0;
  let onQuiet: () => void = () => undefined;
  let isStopped = false;

  /** Runs `work` when fewer than `most` do. */
  const inTurn = async <T>(
    turns: { running: number; readonly waiting: (() => void)[] },
    most: number,
    work: () => Promise<T>,
  ): Promise<T> => {
    if (turns.running >= most) await new Promise<void>((resolve) => turns.waiting.push(resolve));
    else turns.running += 1;
    try {
      return await work();
    } finally {
      // The next run takes over the slot.
      const next = turns.waiting.shift();
      if (next === undefined) turns.running -= 1;
      else next();
    }
  };

  const begin = (served: Served, operation: DispatchedOperation): UnderWay => {
    const lost = new AbortController();
    const settlement = inTurn(served, served.maxConcurrent, () =>
      inTurn(whole, options.maxConcurrent, async () => {
        if (isStopped) throw handedOver(operation.name);
        return served.run({ ...operation, signal: lost.signal });
      }),
    ).finally(() => {
      clearTimeout(begun.timer);
      underWay.delete(operation.name);
    });
    const begun: UnderWay = { settlement, lost, connections: 0, timer: undefined };
    underWay.set(operation.name, begun);
    return begun;
  };

  /** Counts the connections of a run. Without any for a time, another process may have the operation. */
  const follow = (name: string, run: UnderWay, connection: AbortSignal) => {
    run.connections += 1;
    clearTimeout(run.timer);
    const onEnd = () => {
      run.connections -= 1;
      if (run.connections > 0 || underWay.get(name) !== run) return;
      run.timer = setTimeout(() => run.lost.abort(connectionLost()), options.rejoinMs);
    };
    if (connection.aborted) onEnd();
    else connection.addEventListener("abort", onEnd, { once: true });
  };

  return {
    serve(method, run, maxConcurrent = Number.POSITIVE_INFINITY) {
      methods.set(method, { run, maxConcurrent, running: 0, waiting: [] });
    },
    async run(operation, connection) {
      const { name, method } = operation;
      const served = methods.get(method);
      const known = underWay.get(name);
      if (known === undefined && (served === undefined || isStopped)) {
        throw handedOver(name);
      }
      const run = known ?? (served && begin(served, operation));
      if (run === undefined) throw handedOver(name);
      follow(name, run, connection);
      const settlement = await run.settlement;
      // A lost run may have stopped without an end of the operation. The next delivery claims the
      // operation again, or finds that it is done.
      const isUncertain = settlement.kind === "settled" && run.lost.signal.aborted;
      if (isUncertain || settlement.kind === "handover") throw handedOver(name);
      return settlement;
    },
    async tracked(deliver) {
      delivering += 1;
      try {
        await deliver();
      } finally {
        delivering -= 1;
        if (delivering === 0) onQuiet();
      }
    },
    async stop(flushMs) {
      isStopped = true;
      await Promise.allSettled([...underWay.values()].map(({ settlement }) => settlement));
      if (delivering === 0) return;
      // Restate keeps the deliveries that wait for a delay.
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        onQuiet = resolve;
        timer = setTimeout(resolve, flushMs);
      });
      clearTimeout(timer);
    },
  };
}
