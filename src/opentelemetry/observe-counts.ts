import type { Attributes, BatchObservableCallback } from "@opentelemetry/api";
import { callWithin } from "../internal/call-within.js";
import { type Clock, systemClock } from "../internal/clock.js";
import { inRange, longestMs } from "../internal/option-bounds.js";
import type { CountingStore, OperationCounts } from "../store/operation-counts.js";
import { meterOf, ofMethod, prefix } from "./instruments.js";
import type { TelemetryOptions } from "./server-observer.js";

/** The meter for the counts, and how long counts are reused. */
export interface ObserveCountsOptions extends Pick<TelemetryOptions, "meterProvider"> {
  /**
   * How long counts are shown before the store is asked again, in milliseconds, 0 to 2^31 - 1:
   * several readers, or a busy one, do not cost more than that. Default: 5000.
   */
  maxAgeMs?: number | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** Time limit of the store's response, in milliseconds: half of Prometheus's default scrape timeout. */
const answerTimeoutMs = 5000;

/**
 * Observes the number of operations in a store whenever metrics are collected. The counts cover the
 * whole database, so one process is enough. While the store does not respond, the last counts remain.
 *
 * | metric | unit | is |
 * |---|---|---|
 * | `connect_longrunning.operations.open` | {operation} | by method and `connect_longrunning.state`: operations that are neither done nor deleted |
 * | `connect_longrunning.operations.oldest_queued.age` | s | gauge, by method: age of the oldest queued operation; 0 if none is queued |
 * | `connect_longrunning.operations.lost_attempts` | {attempt} | by method: attempts that were lost and whose operation was taken over since, of operations that have not expired |
 *
 * The first and the last are observable up-down counters. The method is `connect_longrunning.method`; the state
 * `blocked`, `queued`, which is the depth of the queue, or `running`.
 *
 * @returns A function that stops the observation.
 * @throws RangeError for an option out of its bounds.
 * @example
 * const store = await createSqliteStore({ path: "operations.db" });
 * const stopObserving = observeCounts(store);
 */
export function observeCounts(
  store: Pick<CountingStore, "counts">,
  options: ObserveCountsOptions = {},
): () => void {
  const clock = options.clock ?? systemClock;
  const maxAgeMs = inRange("maxAgeMs", options.maxAgeMs ?? 5000, 0, longestMs);
  const meter = meterOf(options.meterProvider);
  const open = meter.createObservableUpDownCounter(`${prefix}operations.open`, {
    unit: "{operation}",
    description: "Operations that are not done, in the whole database.",
  });
  const lost = meter.createObservableUpDownCounter(`${prefix}operations.lost_attempts`, {
    unit: "{attempt}",
    description: "Attempts that were lost and taken over, in the whole database.",
  });
  const oldest = meter.createObservableGauge(`${prefix}operations.oldest_queued.age`, {
    unit: "s",
    description: "Age of the oldest queued operation, in the whole database.",
  });
  const stopped = new AbortController();
  let latest: { readonly counts: Promise<OperationCounts>; readonly atMs: number } | undefined;

  const counts = (): Promise<OperationCounts> => {
    const nowMs = clock.nowMs();
    if (latest !== undefined && nowMs - latest.atMs < maxAgeMs) return latest.counts;
    const asked = {
      counts: callWithin(clock, answerTimeoutMs, stopped.signal, () => store.counts()),
      atMs: nowMs,
    };
    latest = asked;
    asked.counts.catch(() => {
      if (latest === asked) latest = undefined;
    });
    return asked.counts;
  };

  const openPoints = createPoints();
  const lostPoints = createPoints();
  const oldestPoints = createPoints();
  const observe: BatchObservableCallback = async (result) => {
    const found = await counts();
    const nowMicros = clock.nowMs() * 1000;
    for (const { method, state, operations, oldestTimeMicros } of found.open) {
      openPoints.set({ ...ofMethod(method), [`${prefix}state`]: state }, operations);
      lostPoints.set(ofMethod(method), 0);
      if (state !== "queued") continue;
      oldestPoints.set(ofMethod(method), Math.max(0, nowMicros - oldestTimeMicros) / 1_000_000);
    }
    for (const { method, attempts } of found.lost) lostPoints.set(ofMethod(method), attempts);
    openPoints.take((value, attributes) => result.observe(open, value, attributes));
    oldestPoints.take((value, attributes) => result.observe(oldest, value, attributes));
    lostPoints.take((value, attributes) => result.observe(lost, value, attributes));
  };
  const observables = [open, oldest, lost];
  meter.addBatchObservableCallback(observe, observables);
  return () => {
    meter.removeBatchObservableCallback(observe, observables);
    stopped.abort();
  };
}

/**
 * Creates the points of one metric. A point that was exported once becomes 0 when it is no longer
 * counted. Otherwise the SDK would export its last value forever.
 */
function createPoints() {
  const points = new Map<string, { readonly attributes: Attributes; value: number }>();
  return {
    set(attributes: Attributes, value: number) {
      points.set(JSON.stringify(attributes), { attributes, value });
    },
    /** Tell of all of them, and begin anew. */
    take(report: (value: number, attributes: Attributes) => void) {
      for (const point of points.values()) {
        report(point.value, point.attributes);
        point.value = 0;
      }
    },
  };
}
