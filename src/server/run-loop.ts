import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import type { Clock } from "../internal/clock.js";
import { tell } from "../internal/tell.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Delivery, Dispatcher, Settlement } from "../store/dispatcher.js";
import type {
  OperationRecord,
  OperationStore,
  Report,
  Transaction,
} from "../store/operation-store.js";
import type { Signals } from "../store/signals.js";
import { endBeforeRun, endOfThrown } from "./attempt-end.js";
import { type AttemptSignal, createAttemptSignal } from "./attempt-signal.js";
import { Continuation, checkpointCopy } from "./continuation.js";
import { attemptLost, cancelledByRequest, draining } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import type { MethodPolicy } from "./method-policies.js";
import type { OperationsObserver, RunObservation } from "./observer.js";
import { createReportWriter } from "./report-writer.js";
import type { RetryPolicy } from "./retry-policy.js";
import { runWork } from "./run-work.js";
import { storedError, storedPayload, storedResponse } from "./stored-result.js";
import { createTerminalWrite } from "./terminal-write.js";
import type { Work } from "./work.js";
import type { Publisher, WriteAndPublish } from "./write-and-publish.js";

/** What the run loop stands on. */
export interface RunLoopParts {
  store: OperationStore;
  signals: Signals;
  dispatcher: Dispatcher;
  publisher: Pick<Publisher, "tellOfEnds" | "observeEnds">;
  writeAndPublish: WriteAndPublish;
  clock: Clock;
  log: (event: OperationsEvent) => void;
  observer: OperationsObserver | undefined;
  /** Hears of each operation that was claimed: it may have a deadline. */
  watch: (record: OperationRecord) => void;
  /** Least time between two writes of one operation's metadata, in milliseconds. */
  reportIntervalMs: number;
  /** How many attempts at one operation may be lost before it is given up. */
  maxLostAttempts: number;
}

/** A method that this process runs. */
export interface RunnableMethod<
  I extends DescMessage,
  R extends DescMessage,
  M extends DescMessage,
> {
  method: LongRunningMethod<I, R, M>;
  work: Work<I, R, M>;
  policy: MethodPolicy;
  /** Undefined: work that fails is not tried again. */
  retry: RetryPolicy | undefined;
}

/** Runs the operations that a dispatcher delivers to this process. */
export interface RunLoop {
  /** Make one attempt at an operation, from its claim to its end. Never rejects. */
  run<I extends DescMessage, R extends DescMessage, M extends DescMessage>(
    runnable: RunnableMethod<I, R, M>,
    delivery: Delivery,
  ): Promise<Settlement>;
  /** Abort the signal of all that runs, because the server shuts down, and start no more. */
  drain(): void;
  /** Try no terminal write again: the store is closed. */
  close(): void;
  /** The names of what runs now. */
  running(): string[];
}

/** How long an operation that the store could not claim now waits for the next try. */
const claimRetryDelayMs = 1000;

const settled: Settlement = { kind: "settled" };

export function createRunLoop(parts: RunLoopParts): RunLoop {
  const { store, signals, dispatcher, publisher, writeAndPublish, clock, log, observer, watch } =
    parts;
  const attempts = new Map<AttemptSignal, string>();
  let isDraining = false;
  const closed = new AbortController();
  const finish = createTerminalWrite(parts, closed.signal);

  /**
   * Have a claimed operation queued again, or ended where its cancellation was asked for.
   * `isFree` is true where that uses up no attempt.
   */
  const release = (
    record: OperationRecord,
    isFree: boolean,
    before?: (transaction: Transaction | undefined) => Promise<unknown>,
  ) =>
    writeAndPublish(
      async (transaction) => {
        await before?.(transaction);
        const cancelled = storedError(cancelledByRequest());
        return store.release(record, isFree, cancelled, { transaction });
      },
      ({ state }) => (state === "done" ? "done" : "missed"),
      { found: before === undefined ? record : undefined },
    );

  const handOver = async (record: OperationRecord): Promise<Settlement> => {
    await release(record, true);
    return { kind: "handover" };
  };

  /** Best effort, as every report: what becomes of the operation matters more. */
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
    tell(observer, (to) => to.retried?.({ name, method, attempt, delayMs, thrown }));
    return { kind: "retry", delayMs };
  };

  const lost = ({ name, method, attempt }: OperationRecord): Settlement => {
    log({ kind: "attempt-lost", name, attempt });
    tell(observer, (to) => to.lost?.({ name, method, attempt }));
    return settled;
  };

  const observeClaim = (record: OperationRecord): RunObservation | undefined => {
    const { name, method, attempt, createTimeMicros } = record;
    const depth = dispatcher.queued?.();
    if (depth !== undefined) tell(observer, (to) => to.queueDepthChanged?.(depth));
    const queueMs =
      attempt === 1 ? Math.max(0, clock.nowMs() - createTimeMicros / 1000) : undefined;
    return tell(observer, (to) => to.claimed?.({ name, method, attempt, queueMs }));
  };

  /** One attempt at a claimed operation. */
  const attempt = async <I extends DescMessage, R extends DescMessage, M extends DescMessage>(
    { method, work, policy, retry }: RunnableMethod<I, R, M>,
    record: OperationRecord,
    attemptSignal: AttemptSignal,
  ): Promise<Settlement> => {
    const { name } = record;
    /** The end that the work itself has written, in a transaction that may be open still. */
    let completed: OperationRecord | undefined;
    const stopLost = () => {
      if (completed === undefined) attemptSignal.stop("loss", attemptLost(name, record.attempt));
    };
    const reports = createReportWriter(record, store, clock, parts.reportIntervalMs, {
      written: attemptSignal.see,
      lost: stopLost,
      failed: (cause) => log({ kind: "store-failed", action: `report ${name}`, cause }),
    });
    const observation = observeClaim(record);
    const startMs = clock.nowMs();
    const outcome = await runWork(method, observation, () => {
      const withStandard = policy.metadata?.aroundReportsOf(record.request);
      return work({
        name,
        // A copy, as its `bytes` fields are views of it, and what is stored is nobody's to write to.
        request: fromBinary(method.method.input, new Uint8Array(record.request)),
        attempt: record.attempt,
        get signal() {
          return attemptSignal.signal;
        },
        checkpoint: record.checkpoint && Uint8Array.from(record.checkpoint),
        report(metadata) {
          reports.put({ metadata: storedPayload(method.metadata, metadata, withStandard) });
        },
        async saveCheckpoint(checkpoint) {
          const kept = await store.report(record, { checkpoint: checkpointCopy(checkpoint) });
          if (kept !== undefined) return;
          stopLost();
          throw attemptLost(name, record.attempt);
        },
        continueLater: (options = {}) => new Continuation(options),
        async complete(response, transaction) {
          const result = storedResponse(method.response, response);
          attemptSignal.expectEnd();
          const done = await store.finish(record, result, reports.pending(), { transaction });
          if (done === undefined) throw attemptLost(name, record.attempt);
          completed = done;
          await publisher.tellOfEnds([done], transaction);
          return response;
        },
      });
    });
    const runMs = Math.max(0, clock.nowMs() - startMs);
    const thrown = outcome.kind === "error" ? outcome.thrown : undefined;
    tell(observation, (to) => to.settled?.(runMs, thrown));
    const lastReport = await reports.close();
    // Its own end is not to be heard as another's.
    attemptSignal.close();

    // Where the claim still holds, the transaction was rolled back.
    if (completed !== undefined && (await store.look(record)) === undefined) {
      publisher.observeEnds([completed]);
      return settled;
    }
    if (outcome.kind === "continue") return goOnLater(record, outcome.continuation, lastReport);
    if (outcome.kind === "error") {
      // What work throws because it was stopped is no end of the operation.
      if (attemptSignal.stoppedBy("loss")) return lost(record);
      if (!attemptSignal.stoppedBy("cancel")) {
        if (attemptSignal.stoppedBy("drain")) {
          await reportBefore(record, lastReport);
          return handOver(record);
        }
        const delayMs = retryDelayMs(retry, outcome.thrown, record);
        if (delayMs !== undefined) return tryAgain(record, outcome.thrown, delayMs, lastReport);
      }
    }
    const result =
      outcome.kind === "response"
        ? outcome.result
        : endOfThrown(outcome.thrown, record, attemptSignal, log);
    return (await finish(record, result, lastReport, runMs)) ? settled : lost(record);
  };

  /** The pause before the next attempt; undefined where there is none. */
  const retryDelayMs = (
    retry: RetryPolicy | undefined,
    thrown: unknown,
    { name, method, attempt, handovers }: OperationRecord,
  ): number | undefined => {
    try {
      return retry?.delayMs(thrown, attempt - handovers);
    } catch (cause) {
      // The method's own judgement of the error has failed.
      log({ kind: "work-failed", name, method, attempt, cause });
      return undefined;
    }
  };

  return {
    async run(runnable, delivery) {
      let attemptSignal: AttemptSignal | undefined;
      let onLost: (() => void) | undefined;
      try {
        // Subscribe, then claim: a request to cancel is in the record or in the signal.
        attemptSignal = await createAttemptSignal(delivery.name, store, signals, clock);
        // A claim would take the operation from whoever has it by now.
        if (delivery.signal?.aborted) return settled;
        const { recovery } = runnable.policy;
        const restartLost = recovery === "restart";
        const record = await store.claim(delivery.name, { restartLost });
        if (record === undefined) return settled;
        watch(record);
        const early = endBeforeRun(record, recovery === "fail" ? 1 : parts.maxLostAttempts);
        if (early !== undefined) {
          await finish(record, early);
          return settled;
        }
        if (isDraining) return await handOver(record);
        attemptSignal.see(record);
        attempts.set(attemptSignal, delivery.name);
        const { stop } = attemptSignal;
        onLost = () => stop("loss", attemptLost(record.name, record.attempt));
        if (delivery.signal?.aborted) onLost();
        else delivery.signal?.addEventListener("abort", onLost, { once: true });
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
