import type { Clock } from "../internal/clock.js";
import type { Claim, OperationRecord, OperationStore, Report } from "../store/operation-store.js";

/** Writes the reports of one attempt to the store, at a bounded rate. */
export interface ReportWriter {
  /** Queues a report. It replaces a queued one. */
  put(report: Report): void;
  /** Returns the report that is not written yet. */
  pending(): Report | undefined;
  /** Stops writing, and returns the report that is not written yet: it belongs in the terminal write. */
  close(): Promise<Report | undefined>;
}

/** Callbacks of a report writer. */
export interface ReportWriterEvents {
  /** Called after a successful write, with the record as it is now. */
  written(record: OperationRecord): void;
  /** Called when the claim no longer holds. */
  lost(): void;
  /** Called for the first of several failures in a row. The write is tried again. */
  failed(cause: unknown): void;
}

/** Longest pause between two tries while the store fails, in milliseconds. */
const maxRetryDelayMs = 10_000;

/**
 * Writes the first report at once and the later ones at most every `intervalMs` milliseconds. While
 * the store fails, the pauses grow.
 */
export function createReportWriter(
  claim: Claim,
  store: OperationStore,
  clock: Clock,
  intervalMs: number,
  events: ReportWriterEvents,
): ReportWriter {
  let pending: Report | undefined;
  let writing: Promise<void> | undefined;
  let unschedule: (() => void) | undefined;
  let closed = false;
  /** Failed writes in a row. */
  let failures = 0;

  const write = async () => {
    const report = pending;
    pending = undefined;
    if (report === undefined) return;
    try {
      const record = await store.report(claim, report);
      failures = 0;
      if (record === undefined) events.lost();
      else events.written(record);
    } catch (cause) {
      // The write is best effort: a failing store must not become the operation's error.
      pending ??= report;
      failures += 1;
      if (failures === 1) events.failed(cause);
    }
  };

  const next = () => {
    if (closed || writing !== undefined || unschedule !== undefined || pending === undefined)
      return;
    writing = write().then(() => {
      writing = undefined;
      if (closed) return;
      const pauseMs = Math.min(intervalMs * 2 ** failures, Math.max(intervalMs, maxRetryDelayMs));
      unschedule = clock.schedule(pauseMs, () => {
        unschedule = undefined;
        next();
      });
    });
  };

  return {
    put(report) {
      if (closed) return;
      pending = report;
      next();
    },
    pending: () => pending,
    async close() {
      closed = true;
      unschedule?.();
      await writing;
      return pending;
    },
  };
}
