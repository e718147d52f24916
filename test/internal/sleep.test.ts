import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/internal/clock.js";
import { sleep } from "../../src/internal/sleep.js";
import { createManualClock } from "../../src/testing/index.js";
import { rejectionOf } from "../support/rejection.js";

describe("sleep", () => {
  it("resolves when its time has come, and leaves no timer", async () => {
    const clock = createManualClock();
    let awake = false;
    const sleeping = sleep(clock, 1000).then(() => {
      awake = true;
    });
    await clock.advance(999);
    expect(awake).toBe(false);
    await clock.advance(1);
    await sleeping;
    expect(clock.scheduled()).toBe(0);
  });

  it("rejects at once for a signal that is aborted already", async () => {
    const clock = createManualClock();
    const reason = new Error("gone");
    const error = await rejectionOf(sleep(clock, 1000, AbortSignal.abort(reason)));
    expect(error).toMatchObject({ code: Code.Canceled, cause: reason });
    expect(clock.scheduled()).toBe(0);
  });

  it("rejects with the reason itself where that is a ConnectError", async () => {
    const reason = new ConnectError("late", Code.DeadlineExceeded);
    const clock = createManualClock();
    expect(await rejectionOf(sleep(clock, 1, AbortSignal.abort(reason)))).toBe(reason);
  });
});

describe("the machine's clock", () => {
  it("calls back once, also for a time that is no longer to come", async () => {
    await new Promise<void>((resolve) => systemClock.schedule(-5, resolve));
  });

  it("does not fire at once for a delay beyond what a timer can hold", async () => {
    let fired = false;
    const unschedule = systemClock.schedule(2 ** 40, () => {
      fired = true;
    });
    await new Promise<void>((resolve) => systemClock.schedule(5, resolve));
    unschedule();
    expect(fired).toBe(false);
  });
});
