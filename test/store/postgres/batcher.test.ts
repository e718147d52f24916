import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { describe, it } from "vitest";
import { createBatcher } from "../../../src/store/postgres/batcher.js";
import { createDeferred } from "../../support/deferred.js";
import { rejectionOf } from "../../support/rejection.js";
import { createSteppedClock } from "../../support/stepped-clock.js";

/** A batcher whose calls wait for the test, and the items of each call. */
function heldBatcher() {
  const clock = createSteppedClock();
  const calls: { items: readonly number[]; answer: (answers: readonly string[]) => void }[] = [];
  const batcher = createBatcher<number, string>({
    clock,
    run(items) {
      const { promise, resolve } = createDeferred<readonly string[]>();
      calls.push({ items, answer: resolve });
      return promise;
    },
  });
  const itemsOfCalls = () => calls.map(({ items }) => [...items]);
  return { clock, calls, batcher, itemsOfCalls };
}

describe("createBatcher", () => {
  it("brings what comes in one turn of the event loop by one call, and tells each its answer", async () => {
    const { clock, calls, batcher } = heldBatcher();
    const answers = Promise.all([1, 2, 3].map((item) => batcher.add(item)));
    await clock.settle();
    calls[0]?.answer(["one", "two", "three"]);
    assert.deepEqual(await answers, ["one", "two", "three"]);
    assert.equal(calls.length, 1);
  });

  it("has what comes during a call wait for it, and go together then", async () => {
    const { clock, calls, batcher, itemsOfCalls } = heldBatcher();
    void batcher.add(1);
    await clock.settle();
    void batcher.add(2);
    await clock.settle();
    void batcher.add(3);
    await clock.settle();
    assert.deepEqual(itemsOfCalls(), [[1]]);
    calls[0]?.answer([""]);
    await clock.settle();
    await clock.settle();
    assert.deepEqual(itemsOfCalls(), [[1], [2, 3]]);
  });

  it("waits no longer than 50 ms for a call that hangs", async () => {
    const { clock, batcher, itemsOfCalls } = heldBatcher();
    void batcher.add(1);
    await clock.settle();
    void batcher.add(2);
    const startMs = clock.nowMs();
    await clock.step();
    assert.equal(clock.nowMs() - startMs, 50);
    assert.deepEqual(itemsOfCalls(), [[1], [2]]);
  });

  it("keeps an item waiting for 5 s at most while all calls hang, and accepts later items", async () => {
    const { clock, calls, batcher, itemsOfCalls } = heldBatcher();
    for (let item = 1; item <= 4; item += 1) {
      void batcher.add(item);
      await (item === 1 ? clock.settle() : clock.step());
    }
    const startMs = clock.nowMs();
    const late = rejectionOf(batcher.add(5));
    await clock.step();
    assert.equal((await late).code, Code.Unavailable);
    assert.equal(clock.nowMs() - startMs, 5000);
    const next = batcher.add(6);
    calls[0]?.answer([""]);
    while (itemsOfCalls().length < 5) await clock.step();
    calls[4]?.answer(["six"]);
    assert.equal(await next, "six");
    assert.deepEqual(itemsOfCalls(), [[1], [2], [3], [4], [6]]);
  });

  it("refuses an item where 10,000 wait", async () => {
    const { batcher } = heldBatcher();
    // The first 400 go with the four calls.
    for (let item = 0; item < 10_400; item += 1) void batcher.add(item);
    assert.equal((await rejectionOf(batcher.add(10_400))).code, Code.Unavailable);
  });

  it("has 4 calls under way at most, of 100 items each", async () => {
    const { clock, calls, batcher } = heldBatcher();
    for (let item = 0; item < 450; item += 1) void batcher.add(item);
    await clock.settle();
    assert.deepEqual(
      calls.map(({ items }) => items.length),
      [100, 100, 100, 100],
    );
    calls[0]?.answer(Array.from({ length: 100 }, () => ""));
    // The 50 ms for which the rest waits for more.
    await clock.step();
    assert.equal(calls[4]?.items.length, 50);
  });

  it("rejects for those of the call that failed, and goes on", async () => {
    const batcher = createBatcher<number, number>({
      async run(items) {
        if (items.includes(1)) throw new Error("no");
        return items;
      },
    });
    const failed = Promise.allSettled([batcher.add(1), batcher.add(2)]);
    assert.deepEqual(
      (await failed).map(({ status }) => status),
      ["rejected", "rejected"],
    );
    assert.equal(await batcher.add(3), 3);
  });
});
