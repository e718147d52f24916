import type { ConnectionUsage, PostgresObserver } from "../store/postgres/postgres-observer.js";
import { createInstruments, meterOf, ofMethod, prefix } from "./instruments.js";
import type { TelemetryOptions } from "./server-observer.js";

/**
 * Returns an observer that counts what becomes of leases, queues and the listening connection in
 * this process, for `ConnectPostgresOptions.observer`. Where no meter is registered it does
 * nothing.
 *
 * | metric | unit | is |
 * |---|---|---|
 * | `connect_longrunning.leases.lost` | {lease} | counter, by method: operations that this process gave up, as it could not show in time that it lives |
 * | `connect_longrunning.operations.recovered` | {operation} | counter, by method: operations that this process took over from one that was lost |
 * | `connect_longrunning.writes.stale` | {write} | counter, by `connect_longrunning.action`: writes of lost attempts, which changed nothing |
 * | `connect_longrunning.listener.losses` | {connection} | counter: how often the listening connection was lost |
 * | `connect_longrunning.listener.outage.duration` | s | histogram: how long it was |
 * | `connect_longrunning.queue.failures` | {call} | counter: calls to the queue that failed and are tried again |
 * | `connect_longrunning.connections.in_use` | {connection} | gauge: connections to the database that a statement or a transaction holds |
 * | `connect_longrunning.connections.waiting` | {call} | gauge: calls that wait for a connection |
 *
 * The method is `connect_longrunning.method`; the action `report`, `release` or `finish`.
 */
export function createPostgresObserver(
  options: Pick<TelemetryOptions, "meterProvider"> = {},
): PostgresObserver {
  const { counter, durations } = createInstruments(options.meterProvider);
  const leaseLost = counter(
    "leases.lost",
    "{lease}",
    "Operations given up, as the process could not show in time that it lives.",
  );
  const recovered = counter(
    "operations.recovered",
    "{operation}",
    "Operations taken over from a process that was lost.",
  );
  const staleWrite = counter(
    "writes.stale",
    "{write}",
    "Writes of lost attempts, which changed nothing.",
  );
  const listenerLost = counter(
    "listener.losses",
    "{connection}",
    "How often the listening connection was lost.",
  );
  const outage = durations(
    "listener.outage.duration",
    "news",
    "How long the listening connection was lost.",
  );
  const queueFailed = counter(
    "queue.failures",
    "{call}",
    "Calls to the queue that failed and are tried again.",
  );
  const meter = meterOf(options.meterProvider);
  const inUse = meter.createObservableGauge(`${prefix}connections.in_use`, {
    unit: "{connection}",
    description: "Connections to the database that a statement or a transaction holds.",
  });
  const waiting = meter.createObservableGauge(`${prefix}connections.waiting`, {
    unit: "{call}",
    description: "Calls that wait for a connection to the database.",
  });
  /** The databases of this process: one, or one for each shard. */
  const usages = new Set<() => ConnectionUsage>();
  const sumOf = (of: keyof ConnectionUsage) =>
    [...usages].reduce((sum, usage) => sum + usage()[of], 0);
  inUse.addCallback((result) => {
    if (usages.size > 0) result.observe(sumOf("inUse"));
  });
  waiting.addCallback((result) => {
    if (usages.size > 0) result.observe(sumOf("waiting"));
  });
  listenerLost({}, 0);
  queueFailed({}, 0);
  for (const action of ["report", "release", "finish"]) {
    staleWrite({ [`${prefix}action`]: action }, 0);
  }
  return {
    connected(usage) {
      usages.add(usage);
      return () => usages.delete(usage);
    },
    serving({ method }) {
      leaseLost(ofMethod(method), 0);
      recovered(ofMethod(method), 0);
    },
    leaseLost: ({ method }) => leaseLost(ofMethod(method)),
    recovered: ({ method }) => recovered(ofMethod(method)),
    staleWrite: ({ action }) => staleWrite({ [`${prefix}action`]: action }),
    listenerLost: () => listenerLost(),
    listenerRestored: ({ lostMs }) => outage(lostMs),
    queueFailed: () => queueFailed(),
  };
}
