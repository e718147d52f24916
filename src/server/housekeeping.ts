import { type Clock, monotonicMs } from "../internal/clock.js";
import type { OperationRecord, OperationStore, OverdueResults } from "../store/operation-store.js";
import { createStoreTime } from "../store/store-time.js";
import { cancelGraceExpired, operationDeadlineExceeded } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import type { OperationWriter } from "./operation-writer.js";
import { storedError } from "./stored-result.js";

/** Ends the operations whose deadline has passed, and removes the expired records. */
export interface Housekeeping {
  /** Schedules the deadline of a record that this process has written, to the millisecond. */
  scheduleDeadline(record: OperationRecord): void;
  /** Starts the timer. Until then deadlines are only noted. */
  start(writer: Pick<OperationWriter, "endMany">): void;
  close(): void;
}

/** Dependencies of the housekeeping. */
export interface HousekeepingDeps {
  store: OperationStore;
  clock: Clock;
  log: (event: OperationsEvent) => void;
}

/**
 * The time from the start, and from a write of this process, to the next sweep, in milliseconds.
 * Without writes there is a sweep every `idleSweepIntervalMs`. A sweep removes expired records and
 * finds the deadlines of operations that a lost replica wrote.
 */
const busySweepIntervalMs = 60_000;
const idleSweepIntervalMs = 60 * 60_000;

/** How many operations one call ends, and how many records one call removes. */
const overduePageSize = 100;
const expirePageSize = 1000;

/**
 * The pause before the next try, if no operation was overdue although this process's clock has
 * passed a deadline: the store's clock may be behind.
 */
const lateRetryDelayMs = 1000;

/** Uses one timer, for the next deadline or the next sweep, whichever is first. */
export function createHousekeeping({ store, clock, log }: HousekeepingDeps): Housekeeping {
  const results: OverdueResults = {
    deadlineExceeded: storedError(operationDeadlineExceeded()),
    cancelled: storedError(cancelGraceExpired()),
  };
  let writer: Pick<OperationWriter, "endMany"> | undefined;
  // Both times use the monotonic clock, because a date that is set back must not delay a sweep.
  const nowMs = () => monotonicMs(clock);
  /** The store's time, as the latest record and the time since then show it. */
  const time = createStoreTime(clock);
  const untilMs = (timeMicros: number) => Math.ceil((timeMicros - time.now()) / 1000);
  let nextSweepMs = nowMs() + busySweepIntervalMs;
  let nextDeadlineMs = Number.POSITIVE_INFINITY;
  let timer: { readonly dueMs: number; readonly unschedule: () => void } | undefined;
  let isRunning = false;
  let closed = false;

  const arm = () => {
    const dueMs = Math.min(nextSweepMs, nextDeadlineMs);
    if (writer === undefined || closed || isRunning || timer?.dueMs === dueMs) return;
    timer?.unschedule();
    const delayMs = Math.max(0, dueMs - nowMs());
    const unschedule = clock.schedule(delayMs, () => void run(), { background: true });
    timer = { dueMs, unschedule };
  };

  const run = async () => {
    timer = undefined;
    isRunning = true;
    nextDeadlineMs = Number.POSITIVE_INFINITY;
    await endOverdue();
    if (nowMs() >= nextSweepMs) {
      nextSweepMs = nowMs() + idleSweepIntervalMs;
      await expire();
    }
    isRunning = false;
    arm();
  };

  const endOverdue = async () => {
    try {
      while (writer !== undefined) {
        const { ended, nextDeadlineMicros } = await writer.endMany((transaction) =>
          store.endOverdue(results, overduePageSize, { transaction }),
        );
        if (closed) return;
        if (ended.length === overduePageSize) continue;
        if (nextDeadlineMicros === undefined) return;
        const leftMs = untilMs(nextDeadlineMicros);
        lower(nowMs() + (leftMs > 0 ? leftMs : lateRetryDelayMs));
        return;
      }
    } catch (cause) {
      if (closed) return;
      log({ kind: "store-failed", action: "end overdue operations", cause });
      lower(nowMs() + lateRetryDelayMs);
    }
  };

  const expire = async () => {
    try {
      while (!closed && (await store.expire(expirePageSize)) === expirePageSize);
    } catch (cause) {
      if (!closed) log({ kind: "store-failed", action: "expire", cause });
    }
  };

  const lower = (dueMs: number) => {
    nextDeadlineMs = Math.min(nextDeadlineMs, dueMs);
  };

  return {
    scheduleDeadline({ state, deadlineTimeMicros, updateTimeMicros }) {
      if (updateTimeMicros > time.now()) time.next(updateTimeMicros);
      nextSweepMs = Math.min(nextSweepMs, nowMs() + busySweepIntervalMs);
      if (state !== "done" && deadlineTimeMicros !== undefined) {
        lower(nowMs() + untilMs(deadlineTimeMicros));
      }
      arm();
    },
    start(by) {
      writer = by;
      try {
        arm();
      } catch {
        // Workers refuse timers outside of a request. The first write of a record sets the timer.
      }
    },
    close() {
      closed = true;
      timer?.unschedule();
    },
  };
}
