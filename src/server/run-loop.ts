import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import { StatusSchema } from "../protos.js";
import { statusFromError } from "../status/status-error.js";
import type { Delivery, Settlement } from "../store/dispatcher.js";
import type {
  OperationRecord,
  OperationStore,
  Report,
  StoredResult,
} from "../store/operation-store.js";
import type { Signals } from "../store/signals.js";
import { type AttemptSignal, createAttemptSignal } from "./attempt-signal.js";
import { attemptLost, cancelledByRequest, draining, workerLost, workFailed } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import { createReportWriter } from "./report-writer.js";
import { storedError, storedPayload, storedResponse } from "./stored-result.js";
import type { Work } from "./work.js";
import type { WriteAndPublish } from "./write-and-publish.js";

/** What the run loop stands on. */
export interface RunLoopParts {
  store: OperationStore;
  signals: Signals;
  writeAndPublish: WriteAndPublish;
  clock: Clock;
  log: (event: OperationsEvent) => void;
  /** Least time between two writes of one operation's metadata, in milliseconds. */
  reportIntervalMs: number;
  /** How many attempts at one operation there are at most, without those handed over. */
  maxAttempts: number;
}

/** Runs the operations that a dispatcher delivers to this process. */
export interface RunLoop {
  /** Make one attempt at an operation, from its claim to its end. Never rejects. */
  run<I extends DescMessage, R extends DescMessage, M extends DescMessage>(
    method: LongRunningMethod<I, R, M>,
    work: Work<I, R, M>,
    delivery: Delivery,
  ): Promise<Settlement>;
  /** Abort the signal of all that runs, because the server shuts down, and start no more. */
  drain(): void;
  /** Try no terminal write again: the store is closed. */
  close(): void;
  /** The names of what runs now. */
  running(): string[];
}

/** How often a terminal write is tried while the store fails, and how long after each other. */
const finishDelaysMs = [100, 200, 400, 800, 1600, 3200, 6400, 12_800];

/** Codes of a store's errors that may pass by themselves; UNKNOWN is what a plain Error counts as. */
const passingCodes: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Aborted,
]);

/** How long an operation that the store could not claim now waits for the next try. */
const claimRetryDelayMs = 1000;

export function createRunLoop(parts: RunLoopParts): RunLoop {
  const { store, signals, writeAndPublish, clock, log } = parts;
  const attempts = new Map<AttemptSignal, string>();
  let isDraining = false;
  const closed = new AbortController();

  /**
   * The one terminal write, tried again while the store is away. False where the
   * claim no longer holds.
   */
  const finish = async (
    record: OperationRecord,
    result: StoredResult,
    report: Report | undefined,
  ): Promise<boolean> => {
    for (let tried = 0; ; tried += 1) {
      try {
        const done = await writeAndPublish(
          (transaction) => store.finish(record, result, report, { transaction }),
          () => "done",
        );
        return done !== undefined;
      } catch (cause) {
        log({ kind: "store-failed", action: `finish ${record.name}`, cause });
        const delayMs = finishDelaysMs[tried];
        const { code } = ConnectError.from(cause);
        if (closed.signal.aborted || delayMs === undefined) throw cause;
        if (!passingCodes.has(code)) return finishWithout(record, cause);
        await sleep(clock, delayMs, closed.signal);
      }
    }
  };

  /** A result that the store will not take must not run the work once more. */
  const finishWithout = async (record: OperationRecord, cause: unknown): Promise<boolean> => {
    const { name, method, attempt } = record;
    log({ kind: "work-failed", name, method, attempt, cause });
    const done = await writeAndPublish(
      (transaction) => store.finish(record, storedError(workFailed()), undefined, { transaction }),
      () => "done",
    );
    return done !== undefined;
  };

  /** Give a claimed operation back without running it any further. */
  const handOver = async (record: OperationRecord): Promise<Settlement> => {
    await writeAndPublish(
      (transaction) =>
        store.release(record, true, storedError(cancelledByRequest()), { transaction }),
      ({ state }) => (state === "done" ? "done" : "missed"),
    );
    return { kind: "handover" };
  };

  /** One attempt at a claimed operation. */
  const attempt = async <I extends DescMessage, R extends DescMessage, M extends DescMessage>(
    method: LongRunningMethod<I, R, M>,
    work: Work<I, R, M>,
    record: OperationRecord,
    attemptSignal: AttemptSignal,
  ): Promise<Settlement> => {
    const { name } = record;
    const lost = () => attemptSignal.stop("loss", attemptLost(name, record.attempt));
    const reports = createReportWriter(record, store, clock, parts.reportIntervalMs, {
      written: attemptSignal.see,
      lost,
      failed: (cause) => log({ kind: "store-failed", action: `report ${name}`, cause }),
    });
    const outcome = await runWork(method, () =>
      work({
        name,
        request: fromBinary(method.method.input, record.request),
        attempt: record.attempt,
        signal: attemptSignal.signal,
        report: (metadata) => reports.put({ metadata: storedPayload(method.metadata, metadata) }),
      }),
    );
    const lastReport = await reports.close();
    const isLost = () => log({ kind: "attempt-lost", name, attempt: record.attempt });
    if (outcome.kind === "error") {
      // What work throws because it was stopped is no end of the operation.
      if (attemptSignal.stoppedBy("loss")) {
        isLost();
        return { kind: "settled" };
      }
      if (attemptSignal.stoppedBy("drain") && !attemptSignal.stoppedBy("cancel")) {
        if (lastReport !== undefined) {
          // Best effort, as every report: the handover matters more.
          await store.report(record, lastReport).catch((cause: unknown) => {
            log({ kind: "store-failed", action: `report ${name}`, cause });
          });
        }
        return handOver(record);
      }
    }
    const result =
      outcome.kind === "response" ? outcome.result : endOf(outcome.thrown, record, attemptSignal);
    if (!(await finish(record, result, lastReport))) isLost();
    return { kind: "settled" };
  };

  /** The end of an operation whose work threw. */
  const endOf = (
    thrown: unknown,
    record: OperationRecord,
    attemptSignal: AttemptSignal,
  ): StoredResult => {
    const { name, method, attempt } = record;
    try {
      if (attemptSignal.stoppedBy("cancel")) {
        if (!(thrown instanceof ConnectError) && !isAbortError(thrown)) {
          log({ kind: "work-failed", name, method, attempt, cause: thrown });
        }
        return storedError(cancelledWith(thrown, attemptSignal.signal.reason));
      }
      if (thrown instanceof ConnectError) return storedError(thrown);
      log({ kind: "work-failed", name, method, attempt, cause: thrown });
    } catch (cause) {
      // A ConnectError whose code or details cannot be encoded.
      log({ kind: "work-failed", name, method, attempt, cause });
    }
    return storedError(attemptSignal.stoppedBy("cancel") ? cancelledByRequest() : workFailed());
  };

  return {
    async run(method, work, delivery) {
      let attemptSignal: AttemptSignal | undefined;
      let onLost: (() => void) | undefined;
      try {
        // Subscribe, then claim: a request to cancel is in the record or in the signal.
        attemptSignal = await createAttemptSignal(delivery.name, store, signals, clock);
        // A claim would take the operation from whoever has it by now.
        if (delivery.signal.aborted) return { kind: "settled" };
        const record = await store.claim(delivery.name);
        if (record === undefined) return { kind: "settled" };
        const early = endBeforeRun(record, parts.maxAttempts);
        if (early !== undefined) {
          await finish(record, early, undefined);
          return { kind: "settled" };
        }
        if (isDraining) return await handOver(record);
        attemptSignal.see(record);
        attempts.set(attemptSignal, delivery.name);
        const { stop } = attemptSignal;
        onLost = () => stop("loss", attemptLost(record.name, record.attempt));
        if (delivery.signal.aborted) onLost();
        else delivery.signal.addEventListener("abort", onLost, { once: true });
        return await attempt(method, work, record, attemptSignal);
      } catch (cause) {
        log({ kind: "store-failed", action: `run ${delivery.name}`, cause });
        return { kind: "retry", delayMs: claimRetryDelayMs };
      } finally {
        if (onLost !== undefined) delivery.signal.removeEventListener("abort", onLost);
        if (attemptSignal !== undefined) {
          attempts.delete(attemptSignal);
          attemptSignal.close();
        }
      }
    },
    close() {
      closed.abort();
    },
    drain() {
      isDraining = true;
      for (const attemptSignal of attempts.keys()) attemptSignal.stop("drain", draining());
    },
    running: () => [...attempts.values()],
  };
}

type WorkOutcome = { kind: "response"; result: StoredResult } | { kind: "error"; thrown: unknown };

async function runWork<I extends DescMessage, R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<I, R, M>,
  work: () => ReturnType<Work<I, R, M>>,
): Promise<WorkOutcome> {
  try {
    const response = await work();
    return { kind: "response", result: storedResponse(method.response, response) };
  } catch (thrown) {
    return { kind: "error", thrown };
  }
}

/** The end of a claimed operation that must not run: it was cancelled, or was lost too often. */
function endBeforeRun(record: OperationRecord, maxAttempts: number): StoredResult | undefined {
  if (record.cancelRequestTimeMicros !== undefined) return storedError(cancelledByRequest());
  const lost = record.attempt - record.handovers - 1;
  return lost >= maxAttempts ? storedError(workerLost(lost)) : undefined;
}

/** What platform functions throw when a signal aborts. */
function isAbortError(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "AbortError";
}

/**
 * The end of an operation whose work threw after its cancellation was asked for.
 * What it threw rides along as a detail, where that is more than the reason.
 */
function cancelledWith(thrown: unknown, reason: unknown): ConnectError {
  const said = thrown instanceof ConnectError && thrown !== reason;
  return cancelledByRequest(
    said ? [{ desc: StatusSchema, value: statusFromError(thrown) }] : undefined,
  );
}
