import { describe, expect, it, onTestFinished } from "vitest";
import { createPostgresObserver } from "../../src/opentelemetry/index.js";
import { createCollectedMetrics } from "./collected-metrics.js";

const method = "printing.v1.PrintService/Print";
const of = { "connect_longrunning.method": method };

describe("createPostgresObserver", () => {
  it("counts losses, recoveries and stale writes, each by the attributes for operators", async () => {
    const { meterProvider, points } = createCollectedMetrics();
    onTestFinished(() => meterProvider.shutdown());
    const observer = createPostgresObserver({ meterProvider });
    const name = "operations/a";
    for (let count = 0; count < 3; count += 1) observer.leaseLost?.({ name, method });
    observer.recovered?.({ name, method, deliveries: 7 });
    observer.staleWrite?.({ name, attempt: 1, action: "report" });
    observer.staleWrite?.({ name, attempt: 1, action: "finish" });
    observer.staleWrite?.({ name, attempt: 1, action: "report" });
    expect(await points("leases.lost")).toEqual([[of, 3]]);
    expect(await points("operations.recovered")).toEqual([[of, 1]]);
    expect(await points("writes.stale")).toEqual([
      [{ "connect_longrunning.action": "report" }, 2],
      [{ "connect_longrunning.action": "release" }, 0],
      [{ "connect_longrunning.action": "finish" }, 1],
    ]);
  });

  it("has the counters of a method with 0 as soon as the process serves it", async () => {
    const { meterProvider, points } = createCollectedMetrics();
    onTestFinished(() => meterProvider.shutdown());
    createPostgresObserver({ meterProvider }).serving?.({ method });
    expect(await points("leases.lost")).toEqual([[of, 0]]);
    expect(await points("operations.recovered")).toEqual([[of, 0]]);
  });

  it("shows the connections of all databases, until they are closed", async () => {
    const { meterProvider, points } = createCollectedMetrics();
    onTestFinished(() => meterProvider.shutdown());
    const observer = createPostgresObserver({ meterProvider });
    expect((await points("connections.in_use")) ?? []).toEqual([]);
    const close = observer.connected?.(() => ({ inUse: 3, waiting: 2 }));
    observer.connected?.(() => ({ inUse: 1, waiting: 0 }));
    expect(await points("connections.in_use")).toEqual([[{}, 4]]);
    expect(await points("connections.waiting")).toEqual([[{}, 2]]);
    close?.();
    expect(await points("connections.in_use")).toEqual([[{}, 1]]);
  });

  it("counts what the listening connection and the queue go through, and for how long", async () => {
    const { meterProvider, points } = createCollectedMetrics();
    onTestFinished(() => meterProvider.shutdown());
    const observer = createPostgresObserver({ meterProvider });
    const cause = new Error("postgres://me:secret@host/");
    observer.listenerLost?.({ cause });
    observer.listenerRestored?.({ lostMs: 250 });
    observer.queueFailed?.({ action: "fetch a", cause });
    observer.queueFailed?.({ action: "fetch b", cause });
    expect(await points("listener.losses")).toEqual([[{}, 1]]);
    expect(await points("listener.outage.duration")).toEqual([[{}, 0.25]]);
    // Neither the cause nor the action, of which there are as many as operations.
    expect(await points("queue.failures")).toEqual([[{}, 2]]);
  });
});
