import type { Clock } from "../internal/clock.js";
import type { Claim, OperationRecord, OperationStore, Report } from "../store/operation-store.js";

/** Brings the reports of one attempt to the store, at a bounded rate. */
export interface ReportWriter {
  /** Have this written when its turn comes; a later one takes its place. */
  put(report: Report): void;
  /** What has not been written yet. */
  pending(): Report | undefined;
  /**
   * Write no more, and return the report that has not been written yet, if there
   * is one: it belongs in the terminal write.
   */
  close(): Promise<Report | undefined>;
}

/** What a report writer tells of its writes. */
export interface ReportWriterEvents {
  /** A write went through: the record as it is now. */
  written(record: OperationRecord): void;
  /** The claim does not hold any more. */
  lost(): void;
  /** The store failed, for the first time since a write went through; it is tried again. */
  failed(cause: unknown): void;
}

/** Longest pause between two tries while the store fails, in milliseconds. */
const maxRetryDelayMs = 10_000;

/**
 * The first report is written at once, the next ones at most every `intervalMs`
 * milliseconds, ever less often while the store fails.
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
  /** How many writes in a row have failed. */
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
      // Best effort: a store that is away must not become the operation's error.
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
