import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createLeaseKeeper } from "../../../src/store/postgres/lease-keeper.js";
import { createManualClock } from "../../../src/testing/index.js";

const leaseMs = 10_000;

/** A keeper on a manual clock, whose other side answers as the test says. */
function aKeeper(renew: (keys: readonly string[]) => Promise<readonly string[]>) {
  const clock = createManualClock();
  const startMs = clock.nowMs();
  const monotonicMs = () => clock.nowMs() - startMs;
  const lost: string[] = [];
  const failures: unknown[] = [];
  const unrenewed: string[] = [];
  const stalls: { stalledMs: number; keys: readonly string[] }[] = [];
  let jumpMs = 0;
  const renewals: { keys: readonly string[]; atMs: number }[] = [];
  const keeper = createLeaseKeeper<string>({
    leaseMs,
    renew: (keys) => {
      renewals.push({ keys, atMs: monotonicMs() });
      return renew(keys);
    },
    onLost: (key) => lost.push(key),
    onFailed: (cause) => failures.push(cause),
    onStalled: (stalledMs, keys) => stalls.push({ stalledMs, keys }),
    onUnrenewed: (keys) => unrenewed.push(...keys),
    clock,
    monotonicMs: () => monotonicMs() + jumpMs,
  });
  const stall = (forMs: number) => {
    jumpMs += forMs;
  };
  return { keeper, clock, monotonicMs, lost, failures, renewals, stalls, unrenewed, stall };
}

describe("createLeaseKeeper", () => {
  it("durability 6: renews all leases with one call, each third of their time", async () => {
    const { keeper, clock, lost, renewals } = aKeeper(async () => []);
    const leases = [keeper.keep("a", 0), keeper.keep("b", 0)];
    await clock.advance(60_000);
    assert.deepEqual(
      renewals.map(({ keys }) => keys.join()),
      Array.from({ length: renewals.length }, () => "a,b"),
    );
    for (const [at, { atMs }] of renewals.entries()) {
      const beforeMs = renewals[at - 1]?.atMs ?? 0;
      assert.ok(atMs - beforeMs <= leaseMs * 0.4, `renewed after ${atMs - beforeMs} ms`);
    }
    assert.ok(renewals.length >= 15);
    assert.deepEqual(lost, []);
    assert.deepEqual(
      leases.map(({ signal }) => signal.aborted),
      [false, false],
    );
  });

  it("durability 7: gives up before the time is over, counted from before the last renewal was sent", async () => {
    let isReachable = true;
    const harness = aKeeper(async () => {
      if (!isReachable) throw new Error("no route to host");
      return [];
    });
    const { keeper, clock, monotonicMs, renewals } = harness;
    const { signal } = keeper.keep("a", 0);
    await clock.advance(5000);
    isReachable = false;
    const renewedAtMs = renewals.at(-1)?.atMs ?? 0;
    let abortedAtMs = Number.NaN;
    signal.addEventListener("abort", () => {
      abortedAtMs = monotonicMs();
    });
    await clock.advance(60_000);
    assert.ok(abortedAtMs > renewedAtMs + leaseMs / 2, "it is not given up at the first failure");
    assert.ok(abortedAtMs < renewedAtMs + leaseMs, "another cannot have it yet");
    assert.deepEqual(harness.lost, ["a"]);
    assert.ok(harness.failures.length > 0);
  });

  it("durability 7: gives up also while a renewal gets no answer", async () => {
    const { keeper, clock, monotonicMs } = aKeeper(() => new Promise(() => undefined));
    const { signal } = keeper.keep("a", 0);
    let abortedAtMs = Number.NaN;
    signal.addEventListener("abort", () => {
      abortedAtMs = monotonicMs();
    });
    await clock.advance(60_000);
    assert.ok(abortedAtMs < leaseMs, `aborted after ${abortedAtMs} ms`);
  });

  it("durability 7: a process that was suspended gives up before it renews", async () => {
    const { keeper, clock, lost, renewals } = aKeeper(async () => []);
    // Taken long ago, when the process was stopped: its first timer runs now.
    const { signal } = keeper.keep("a", -leaseMs);
    await clock.advance(leaseMs / 20);
    assert.equal(signal.aborted, true);
    assert.deepEqual(lost, ["a"]);
    assert.deepEqual(renewals, []);
  });

  it("aborts what the other side says is lost, and keeps the rest", async () => {
    const { keeper, clock, lost } = aKeeper(async (keys) => keys.filter((key) => key === "b"));
    const [a, b] = [keeper.keep("a", 0), keeper.keep("b", 0)];
    await clock.advance(leaseMs / 2);
    assert.deepEqual([a.signal.aborted, b.signal.aborted], [false, true]);
    assert.deepEqual(lost, ["b"]);
  });

  it("renews nothing after it has abandoned its leases, and aborts their signals", async () => {
    const { keeper, clock, renewals, lost } = aKeeper(async () => []);
    const lease = keeper.keep("a", 0);
    await clock.advance(5000);
    const before = renewals.length;
    keeper.abandon();
    assert.equal(lease.signal.aborted, true);
    await clock.advance(60_000);
    assert.equal(renewals.length, before);
    assert.deepEqual([lost, clock.scheduled()], [[], 0]);
  });

  it("leaves no timer behind once the last lease has ended", async () => {
    const { keeper, clock, renewals } = aKeeper(async () => []);
    const lease = keeper.keep("a", 0);
    lease.end();
    await clock.advance(leaseMs);
    assert.equal(clock.scheduled(), 0);
    assert.deepEqual(renewals, []);
    assert.equal(lease.signal.aborted, false);
  });

  it("reports the leases that a stall of the event loop lost, and how long it was", async () => {
    const { keeper, clock, lost, stalls, stall } = aKeeper(async () => []);
    keeper.keep("a", 0);
    keeper.keep("b", 0);
    await clock.advance(1000);
    // The timers of the process are late by this.
    stall(13_000);
    await clock.advance(500);
    assert.deepEqual(lost, ["a", "b"]);
    assert.deepEqual(stalls, [{ stalledMs: 13_000, keys: ["a", "b"] }]);
  });

  it("reports no stall if the database did not answer, or if a stall lost nothing", async () => {
    const { keeper, clock, lost, stalls, stall } = aKeeper(async () => {
      throw new Error("no route to host");
    });
    keeper.keep("a", 0);
    stall(2000);
    await clock.advance(20_000);
    assert.deepEqual(lost, ["a"]);
    assert.deepEqual(stalls, []);
  });

  it("aborts a signal that is read after a stall, before the late timers run", () => {
    const { keeper, lost, stall } = aKeeper(async () => []);
    const lease = keeper.keep("a", 0);
    assert.equal(lease.signal.aborted, false);
    stall(leaseMs * 0.8);
    assert.equal(lease.signal.aborted, true);
    assert.deepEqual(lost, ["a"]);
  });
});
