import { describe, expect, it } from "vitest";
import { followCheck } from "../../src/health/follow-check.js";
import { createManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";

describe("followCheck", () => {
  it("reports each change once, and polls again after a failure", async () => {
    const clock = createManualClock();
    const answers = [true, false, false, true, true];
    let asked = 0;
    const changes: boolean[] = [];
    const check = async () => {
      if (answers[asked++] !== true) throw new Error("no connection");
      return undefined;
    };
    const stop = followCheck(check, 5000, clock, (isPassed) => changes.push(isPassed));
    await clock.advance(25_000);
    expect([asked, changes]).toEqual([5, [false, true]]);
    stop();
    await clock.advance(25_000);
    expect(asked).toBe(5);
    expect(clock.scheduled({ background: true })).toBe(0);
  });

  it("takes a check that does not settle within the interval for failed", async () => {
    const clock = createManualClock();
    const answer = createDeferred<undefined>();
    const changes: boolean[] = [];
    const check = () => answer.promise;
    const stop = followCheck(check, 5000, clock, (isPassed) => changes.push(isPassed));
    await clock.advance(9999);
    expect(changes).toEqual([]);
    await clock.advance(1);
    expect(changes).toEqual([false]);
    answer.resolve(undefined);
    await clock.advance(5000);
    expect(changes).toEqual([false, true]);
    stop();
  });

  it("reports nothing from a poll that a stop interrupted", async () => {
    const clock = createManualClock();
    const answer = createDeferred<undefined>();
    const changes: boolean[] = [];
    const stop = followCheck(
      () => answer.promise,
      5000,
      clock,
      (is) => changes.push(is),
    );
    await clock.advance(5000);
    stop();
    await clock.advance(60_000);
    expect(changes).toEqual([]);
    expect(clock.scheduled({ background: true })).toBe(0);
  });
});
