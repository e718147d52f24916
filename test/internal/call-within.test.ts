import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { callWithin } from "../../src/internal/call-within.js";
import { createManualClock } from "../../src/testing/index.js";
import { createCountedAbort } from "../support/counted-signal.js";
import { createDeferred, type Deferred } from "../support/deferred.js";
import { rejectionOf } from "../support/rejection.js";

const reason = new Error("page was closed");
const own = new ConnectError("late", Code.FailedPrecondition);

/** A call that is under way, with a limit of 1000 ms. */
function begun() {
  const clock = createManualClock();
  const abort = createCountedAbort();
  const answer: Deferred<string> = createDeferred<string>();
  const seen: AbortSignal[] = [];
  const call = callWithin(clock, 1000, abort.signal, (signal) => {
    seen.push(signal);
    return answer.promise;
  });
  call.catch(() => undefined);
  const signal = seen[0] ?? AbortSignal.abort("not called");
  return { clock, abort, answer, call, signal };
}
type Begun = ReturnType<typeof begun>;

describe("callWithin", () => {
  it.each<[string, (begun: Begun) => unknown, object]>([
    [
      "at its limit, as an answer that did not come",
      ({ clock }) => clock.advance(1000),
      { code: Code.DeadlineExceeded, rawMessage: "no answer within 1000 ms" },
    ],
    [
      "as soon as the signal aborts, with its reason",
      ({ abort }) => abort.abort(reason),
      { code: Code.Canceled, cause: reason },
    ],
    [
      "with the reason itself where that is a ConnectError",
      ({ abort }) => abort.abort(own),
      { code: Code.FailedPrecondition, rawMessage: "late" },
    ],
    [
      "with the error of the call",
      ({ answer }) => answer.reject(own),
      { code: Code.FailedPrecondition, rawMessage: "late" },
    ],
    [
      "with a ConnectError also where the call throws another one",
      ({ answer }) => answer.reject(reason),
      { code: Code.Unknown, cause: reason },
    ],
  ])("rejects %s, and leaves nothing behind", async (_, end, expected) => {
    const under = begun();
    await end(under);
    expect(await rejectionOf(under.call)).toMatchObject(expected);
    expect([under.clock.scheduled(), under.abort.listeners()]).toEqual([0, 0]);
  });

  it("resolves with the answer, and leaves nothing behind", async () => {
    const { clock, abort, answer, call, signal } = begun();
    await clock.advance(999);
    expect([clock.scheduled(), abort.listeners()]).toEqual([1, 1]);
    answer.resolve("done");
    expect(await call).toBe("done");
    expect([clock.scheduled(), abort.listeners(), signal.aborted]).toEqual([0, 0, false]);
  });

  it.each<[string, (begun: Begun) => unknown, Code]>([
    ["the limit", ({ clock }) => clock.advance(1000), Code.DeadlineExceeded],
    ["an abort", ({ abort }) => abort.abort(reason), Code.Canceled],
  ])("ends the call itself at %s, and does not care what comes of it", async (_, end, code) => {
    const under = begun();
    await end(under);
    expect(under.signal.aborted).toBe(true);
    expect(under.signal.reason).toMatchObject({ code });
    under.answer.resolve("too late");
    expect((await rejectionOf(under.call)).code).toBe(code);
  });

  it("does not mind a call that fails after it was given up", async () => {
    const { clock, answer, call } = begun();
    await clock.advance(1000);
    answer.reject(own);
    await clock.advance(1000);
    expect((await rejectionOf(call)).code).toBe(Code.DeadlineExceeded);
  });

  it("does not call for a signal that is aborted already", async () => {
    const clock = createManualClock();
    const call = callWithin(clock, 1000, AbortSignal.abort(reason), () => expect.unreachable());
    expect(await rejectionOf(call)).toMatchObject({ code: Code.Canceled, cause: reason });
    expect(clock.scheduled()).toBe(0);
  });

  it("rejects with an error thrown synchronously by the call, and leaves no timer or listener", async () => {
    const clock = createManualClock();
    const abort = createCountedAbort();
    const call = callWithin(clock, 1000, abort.signal, () => {
      throw own;
    });
    expect(await rejectionOf(call)).toBe(own);
    expect([clock.scheduled(), abort.listeners()]).toEqual([0, 0]);
  });
});
