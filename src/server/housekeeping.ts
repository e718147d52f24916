import type { Clock } from "../internal/clock.js";
import type { OperationRecord, OperationStore, OverdueResults } from "../store/operation-store.js";
import { cancelGraceExpired, operationDeadlineExceeded } from "./end-errors.js";
import type { OperationsEvent } from "./events.js";
import { storedError } from "./stored-result.js";
import type { Publisher } from "./write-and-publish.js";

/** Ends the operations whose deadline has passed, and removes the records that have expired. */
export interface Housekeeping {
  /** Look at a record that was written: if it has a deadline, that is met to the millisecond. */
  watch(record: OperationRecord): void;
  close(): void;
}

/** What housekeeping stands on. */
export interface HousekeepingParts {
  store: OperationStore;
  publisher: Publisher;
  clock: Clock;
  log: (event: OperationsEvent) => void;
}

/**
 * How long after the start and after a write of this process everything is looked through, and how often it is
 * where there are none, in milliseconds: for what has expired, and for deadlines that this
 * process has not seen, as those of a replica that is gone.
 */
const busySweepIntervalMs = 60_000;
const idleSweepIntervalMs = 60 * 60_000;

/** How many records are ended, and how many removed, at a time. */
const overduePageSize = 100;
const expirePageSize = 1000;

/**
 * The least time until the next look after one that ended nothing although this
 * process's clock says that a deadline has passed: the store's own may lag behind.
 */
const lateRetryDelayMs = 1000;

/** There is one timer, for the next deadline or the next sweep, whichever is first. */
export function createHousekeeping({
  store,
  publisher,
  clock,
  log,
}: HousekeepingParts): Housekeeping {
  const results: OverdueResults = {
    deadlineExceeded: storedError(operationDeadlineExceeded()),
    cancelled: storedError(cancelGraceExpired()),
  };
  let nextSweepMs = clock.nowMs() + busySweepIntervalMs;
  let nextDeadlineMs = Number.POSITIVE_INFINITY;
  let timer: { readonly dueMs: number; readonly unschedule: () => void } | undefined;
  let isRunning = false;
  let closed = false;

  const arm = () => {
    const dueMs = Math.min(nextSweepMs, nextDeadlineMs);
    if (closed || isRunning || timer?.dueMs === dueMs) return;
    timer?.unschedule();
    const delayMs = Math.max(0, dueMs - clock.nowMs());
    const unschedule = clock.schedule(delayMs, () => void run(), { background: true });
    timer = { dueMs, unschedule };
  };

  const run = async () => {
    timer = undefined;
    isRunning = true;
    nextDeadlineMs = Number.POSITIVE_INFINITY;
    await endOverdue();
    if (clock.nowMs() >= nextSweepMs) {
      nextSweepMs = clock.nowMs() + idleSweepIntervalMs;
      await expire();
    }
    isRunning = false;
    arm();
  };

  const endOverdue = async () => {
    try {
      for (;;) {
        const { ended, nextDeadlineMicros } = await publisher.endAndPublish((transaction) =>
          store.endOverdue(results, overduePageSize, { transaction }),
        );
        if (closed) return;
        if (ended.length === overduePageSize) continue;
        if (nextDeadlineMicros === undefined) return;
        const dueMs = Math.ceil(nextDeadlineMicros / 1000);
        const nowMs = clock.nowMs();
        lower(dueMs > nowMs ? dueMs : nowMs + lateRetryDelayMs);
        return;
      }
    } catch (cause) {
      if (closed) return;
      log({ kind: "store-failed", action: "end what is overdue", cause });
      lower(clock.nowMs() + lateRetryDelayMs);
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

  try {
    arm();
  } catch {
    // Workers refuse timers outside of a request. The first record that is written sets the timer.
  }
  return {
    watch({ state, deadlineTimeMicros }) {
      nextSweepMs = Math.min(nextSweepMs, clock.nowMs() + busySweepIntervalMs);
      if (state !== "done" && deadlineTimeMicros !== undefined) {
        lower(Math.ceil(deadlineTimeMicros / 1000));
      }
      arm();
    },
    close() {
      closed = true;
      timer?.unschedule();
    },
  };
}
