import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { type Clock, monotonicMs } from "../internal/clock.js";
import { notifySafely } from "../internal/notify-safely.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Delivery, Dispatcher, Settlement } from "../store/dispatcher.js";
import type {
  ClaimOptions,
  OperationRecord,
  OperationStore,
  Report,
  StoredResult,
  Transaction,
} from "../store/operation-store.js";
import type { Signals } from "../store/signals.js";
import { type AttemptSignal, createAttemptSignal } from "./attempt-signal.js";
import { type CheckpointFormat, encodeCheckpoint } from "./checkpoint-format.js";
import { attemptLost, cancelledByRequest, draining, workerLost } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import type { MethodPolicy } from "./methods.js";
import type { OperationsObserver, RunObservation } from "./observer.js";
import type { OperationWriter } from "./operation-writer.js";
import { createReportWriter } from "./report-writer.js";
import type { RetryPolicy } from "./retry-policy.js";
import { resultOfThrown, runWork } from "./run-work.js";
import { storedError, storedPayload, storedResponse } from "./stored-result.js";
import { Continuation, type Work } from "./work.js";

/** Dependencies of the run loop. */
export interface RunLoopDeps {
  store: OperationStore;
  signals: Signals;
  dispatcher: Dispatcher;
  writer: OperationWriter;
  clock: Clock;
  log: (event: OperationsEvent) => void;
  observer: OperationsObserver | undefined;
  /** Called with each operation that was claimed: it may have a deadline. */
  scheduleDeadline: (record: OperationRecord) => void;
  /** Returns undefined if no response to a start is about to be sent. */
  responsesSent: () => Promise<void> | undefined;
  /** Minimum time between two writes of one operation's metadata, in milliseconds. */
  reportIntervalMs: number;
  /** How many attempts of one operation may be lost until it ends ABORTED. */
  maxLostAttempts: number;
}

/** A method that this process runs. */
export interface RunnableMethod<
  I extends DescMessage,
  R extends DescMessage,
  M extends DescMessage,
  C,
> {
  method: LongRunningMethod<I, R, M>;
  work: Work<I, R, M, C>;
  policy: MethodPolicy;
  /** The retry policy. If undefined, failed work is not tried again. */
  retry: RetryPolicy | undefined;
  checkpoints: CheckpointFormat<C>;
}

/** Runs the operations that a dispatcher delivers to this process. */
export interface RunLoop {
  /** Makes one attempt at an operation, from its claim to its end. Never rejects. */
  run<I extends DescMessage, R extends DescMessage, M extends DescMessage, C>(
    runnable: RunnableMethod<I, R, M, C>,
    delivery: Delivery,
  ): Promise<Settlement>;
  /** Aborts the signals of all attempts because the server shuts down. Later deliveries are handed over. */
  handOver(): void;
  /** Aborts the signals of an operation's attempts because it is taken away from them. */
  takeAway(record: OperationRecord): void;
  /** The names of the operations that run now. */
  running(): string[];
}

/** The pause before an operation is delivered again, if the store failed to claim it. */
const claimRetryDelayMs = 1000;

const settled: Settlement = { kind: "settled" };

export function createRunLoop(deps: RunLoopDeps): RunLoop {
  const { store, signals, dispatcher, writer, clock, log, observer, scheduleDeadline } = deps;
  const attempts = new Map<AttemptSignal, string>();
  let isHandingOver = false;

  /**
   * Queues a claimed operation again, or ends it if a client asked to cancel it. `isFree` is true
   * if that uses up no attempt.
   */
  const release = (
    record: OperationRecord,
    isFree: boolean,
    before?: (transaction: Transaction | undefined) => Promise<unknown>,
  ) =>
    writer.write(
      async (transaction) => {
        await before?.(transaction);
        const cancelled = storedError(cancelledByRequest());
        return store.release(record, isFree, cancelled, { transaction });
      },
      ({ state }) => (state === "done" ? "done" : "missed"),
      { found: before === undefined ? record : undefined },
    );

  const requeue = async (record: OperationRecord): Promise<Settlement> => {
    await release(record, true);
    return { kind: "handover" };
  };

  /** Best effort, as every report: the outcome of the operation matters more. */
  const reportBefore = async (record: OperationRecord, report: Report | undefined) => {
    if (report === undefined) return;
    await store.report(record, report).catch((cause: unknown) => {
      log({ kind: "store-failed", action: `report ${record.name}`, cause });
    });
  };

  const goOnLater = async (
    record: OperationRecord,
    { checkpoint, delayMs }: Continuation,
    lastReport: Report | undefined,
  ): Promise<Settlement> => {
    const report: Report = { ...lastReport, checkpoint };
    const released = await release(record, true, (transaction) =>
      store.report(record, report, { transaction }),
    );
    if (released === undefined) return lost(record);
    return released.state === "done" ? settled : { kind: "continue", delayMs };
  };

  const tryAgain = async (
    record: OperationRecord,
    thrown: unknown,
    delayMs: number,
    lastReport: Report | undefined,
  ): Promise<Settlement> => {
    await reportBefore(record, lastReport);
    const released = await release(record, false);
    if (released === undefined) return lost(record);
    if (released.state === "done") return settled;
    const { name, method, attempt } = record;
    notifySafely(observer, (to) => to.retried?.({ name, method, attempt, delayMs, thrown }));
    return { kind: "retry", delayMs };
  };

  const lost = ({ name, method, attempt }: OperationRecord): Settlement => {
    log({ kind: "attempt-lost", name, attempt });
    notifySafely(observer, (to) => to.lost?.({ name, method, attempt }));
    return settled;
  };

  const observeClaim = (record: OperationRecord): RunObservation | undefined => {
    const { name, method, attempt, createTimeMicros, traceContext } = record;
    const depth = dispatcher.queued?.();
    if (depth !== undefined) notifySafely(observer, (to) => to.queueDepthChanged?.(depth));
    const queueMs =
      attempt === 1 ? Math.max(0, clock.nowMs() - createTimeMicros / 1000) : undefined;
    return notifySafely(observer, (to) =>
      to.claimed?.({ name, method, attempt, queueMs, traceContext }),
    );
  };

  /**
   * Claims a delivered operation. A delivery that another process may have by now takes over only
   * the attempt that it finds running, while it is not lost itself: a claim that reaches the store
   * late must not end an attempt that began meanwhile.
   */
  const claim = async (
    { name, signal }: Delivery,
    options: ClaimOptions,
  ): Promise<OperationRecord | undefined> => {
    if (signal === undefined) return store.claim(name, options);
    if (signal.aborted) return undefined;
    const queued = await store.claim(name, { ...options, lostAttempt: 0 });
    if (queued !== undefined) return queued;
    const found = await store.get(name, { evenHidden: true });
    if (signal.aborted || found?.state !== "running" || found.external) return undefined;
    return store.claim(name, { ...options, lostAttempt: found.attempt });
  };

  /** One attempt at a claimed operation. */
  const attempt = async <I extends DescMessage, R extends DescMessage, M extends DescMessage, C>(
    { method, work, policy, retry, checkpoints }: RunnableMethod<I, R, M, C>,
    record: OperationRecord,
    attemptSignal: AttemptSignal,
  ): Promise<Settlement> => {
    const { name } = record;
    /** The end that the work itself has written, in a transaction that may still be open. */
    let completed: OperationRecord | undefined;
    const stopLost = () => {
      if (completed === undefined) attemptSignal.stop("loss", attemptLost(name, record.attempt));
    };
    const reports = createReportWriter(record, store, clock, deps.reportIntervalMs, {
      written: attemptSignal.onRecord,
      lost: stopLost,
      failed: (cause) => log({ kind: "store-failed", action: `report ${name}`, cause }),
    });
    const observation = observeClaim(record);
    const startMs = monotonicMs(clock);
    const outcome = await runWork(method, observation, () => {
      const withStandard = policy.metadata?.aroundReportsOf(record);
      return work({
        name,
        principal: record.principal,
        // The bytes are copied, because the message's `bytes` fields are views of them.
        request: fromBinary(method.method.input, new Uint8Array(record.request)),
        attempt: record.attempt,
        get signal() {
          return attemptSignal.signal;
        },
        get checkpoint() {
          return record.checkpoint && checkpoints.decode(record.checkpoint);
        },
        report(metadata) {
          reports.put({ metadata: storedPayload(method.metadata, metadata, withStandard) });
        },
        async saveCheckpoint(checkpoint) {
          const bytes = encodeCheckpoint(checkpoints, checkpoint);
          const kept = await store.report(record, { checkpoint: bytes });
          if (kept !== undefined) return;
          stopLost();
          throw attemptLost(name, record.attempt);
        },
        continueLater: ({ checkpoint, delayMs } = {}) =>
          new Continuation(
            checkpoint === undefined ? undefined : encodeCheckpoint(checkpoints, checkpoint),
            delayMs,
          ),
        async complete(response, transaction) {
          const result = storedResponse(method.response, response);
          attemptSignal.expectEnd();
          const done = await store.finish(record, result, reports.pending(), { transaction });
          if (done === undefined) throw attemptLost(name, record.attempt);
          completed = done;
          await writer.publishEnds([done], transaction);
          return response;
        },
      });
    });
    const runMs = Math.round(monotonicMs(clock) - startMs);
    const thrown = outcome.kind === "error" ? outcome.thrown : undefined;
    notifySafely(observation, (to) => to.settled?.(runMs, thrown));
    const lastReport = await reports.close();
    // The attempt is closed before its end is written, so that the end does not abort its own
    // signal.
    attemptSignal.close();

    // If the claim still holds, the transaction was rolled back.
    if (completed !== undefined && (await store.look(record)) === undefined) {
      writer.observeEnds([completed]);
      return settled;
    }
    if (outcome.kind === "continue") return goOnLater(record, outcome.continuation, lastReport);
    if (outcome.kind === "error") {
      // If the work was stopped, its exception does not end the operation.
      if (attemptSignal.stoppedBy("loss")) return lost(record);
      if (!attemptSignal.stoppedBy("cancel")) {
        if (attemptSignal.stoppedBy("drain")) {
          await reportBefore(record, lastReport);
          return requeue(record);
        }
        const delayMs = retryDelayMs(retry, outcome.thrown, record);
        if (delayMs !== undefined) return tryAgain(record, outcome.thrown, delayMs, lastReport);
      }
    }
    const result =
      outcome.kind === "response"
        ? outcome.result
        : resultOfThrown(outcome.thrown, record, attemptSignal, log);
    return (await writer.finish(record, result, lastReport, runMs)) ? settled : lost(record);
  };

  /** Returns the pause before the next attempt; undefined if there is no next attempt. */
  const retryDelayMs = (
    retry: RetryPolicy | undefined,
    thrown: unknown,
    { name, method, attempt, handovers }: OperationRecord,
  ): number | undefined => {
    try {
      return retry?.delayMs(thrown, attempt - handovers);
    } catch (cause) {
      // The method's `isRetryable` threw an exception.
      log({ kind: "work-failed", name, method, attempt, cause });
      return undefined;
    }
  };

  return {
    async run(runnable, delivery) {
      let attemptSignal: AttemptSignal | undefined;
      let onLost: (() => void) | undefined;
      try {
        // The pending responses are sent first, because the work may block the event loop.
        const responsesSent = deps.responsesSent();
        if (responsesSent !== undefined) await responsesSent;
        // The subscription comes before the claim, so that a cancellation request is in the record
        // or arrives as a signal.
        attemptSignal = await createAttemptSignal(delivery.name, store, signals, clock);
        const { recovery } = runnable.policy;
        const record = await claim(delivery, { restartLost: recovery === "restart" });
        if (record === undefined) return settled;
        if (delivery.signal?.aborted) {
          // The claim was late, so another process may have the operation. The other delivery
          // continues. This delivery must neither run the work nor end the operation.
          await release(record, true);
          return lost(record);
        }
        scheduleDeadline(record);
        const early = endBeforeRun(record, recovery === "fail" ? 1 : deps.maxLostAttempts);
        if (early !== undefined) {
          await writer.finish(record, early);
          return settled;
        }
        if (isHandingOver) return await requeue(record);
        attemptSignal.onRecord(record);
        attempts.set(attemptSignal, delivery.name);
        const { stop } = attemptSignal;
        onLost = () => stop("loss", attemptLost(record.name, record.attempt));
        delivery.signal?.addEventListener("abort", onLost, { once: true });
        return await attempt(runnable, record, attemptSignal);
      } catch (cause) {
        log({ kind: "store-failed", action: `run ${delivery.name}`, cause });
        return { kind: "retry", delayMs: claimRetryDelayMs };
      } finally {
        if (onLost !== undefined) delivery.signal?.removeEventListener("abort", onLost);
        if (attemptSignal !== undefined) {
          attempts.delete(attemptSignal);
          attemptSignal.close();
        }
      }
    },
    handOver() {
      isHandingOver = true;
      for (const attemptSignal of attempts.keys()) attemptSignal.stop("drain", draining());
    },
    takeAway({ name, attempt }) {
      for (const [attemptSignal, running] of attempts) {
        if (running === name) attemptSignal.stop("loss", attemptLost(name, attempt));
      }
    },
    running: () => [...attempts.values()],
  };
}

/**
 * Returns the result of a claimed operation that must not run: a client has cancelled it, or
 * `maxLosses` attempts were lost.
 */
function endBeforeRun(record: OperationRecord, maxLosses: number): StoredResult | undefined {
  if (record.cancelRequestTimeMicros !== undefined) return storedError(cancelledByRequest());
  const { losses } = record;
  return losses >= maxLosses ? storedError(workerLost(losses)) : undefined;
}
