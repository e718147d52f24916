import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { assert, describe, expect, it } from "vitest";
import {
  createLongRunningClient,
  OperationError,
  type OperationHandle,
  type Snapshot,
  standardDetailsOf,
  type WaitEnd,
  type WaitObserver,
  type WaitOptions,
} from "../../src/index.js";
import type { PrintMetadata, PrintResponse } from "../gen/printing/v1/printing_pb.js";
import { type CountedAbort, createCountedAbort } from "../support/counted-signal.js";
import {
  createFaultyServer,
  type Draw,
  endCode,
  endPages,
  type FaultScript,
  passingCodes,
} from "../support/faulty-server.js";
import { Print } from "../support/print-server.js";
import { scriptedName } from "../support/scripted-server.js";
import { createSteppedClock, type SteppedClock } from "../support/stepped-clock.js";

type PrintHandle = OperationHandle<PrintResponse, PrintMetadata>;
type PrintSnapshot = Snapshot<PrintResponse, PrintMetadata>;

/** A wait of a scenario. Times are in milliseconds; undefined for an action that it does not take. */
interface Waiter {
  readonly joinsAtMs: number;
  /** The verb: `result()`, `outcome()`, or an iteration. */
  readonly by: "result" | "outcome" | "iteration";
  /** An iteration: after how many states it is left by `break`. */
  readonly breaksAfter: number | undefined;
  /** An iteration: after how long it is left while it waits for its next state. */
  readonly leavesAfterMs: number | undefined;
  /** An iteration: how long each state takes its reader. */
  readonly readsForMs: number;
  readonly everyPoll: boolean;
  readonly abortsAfterMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly stallMs: number | undefined;
  readonly onTimeout: "leave" | "cancel";
  readonly listens: boolean;
}

interface Scenario extends Omit<FaultScript, "graceMs"> {
  readonly isFresh: boolean;
  readonly mode: "auto" | "poll";
  readonly maxWaitCallMs: number;
  readonly maxConsecutiveFailures: number;
  /** The random number of each delay: 0 for its full length, 1 for the shortest one. */
  readonly chance: number;
  readonly waiters: readonly Waiter[];
}

const graceMs = 5000;
const pollTimeoutMs = 10_000;
const longestDelayMs = 20_000;
const never = Number.POSITIVE_INFINITY;

const draws: fc.Arbitrary<Draw> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Draw>({ does: "answer" }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant("fail" as const),
      code: fc.constantFrom(...passingCodes),
      retryMs: fc.option(fc.integer({ min: 0, max: 15_000 }), { nil: undefined, freq: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("answerSlowly" as const),
      afterMs: fc.integer({ min: 1, max: 45_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("showOld" as const),
      ageMs: fc.integer({ min: 1, max: 60_000 }),
    }),
  },
  ...(["hang", "answerEarly", "lag", "repeat"] as const).map((does) => ({
    weight: 2,
    arbitrary: fc.constant<Draw>({ does }),
  })),
);

const maybe = (min: number, max: number) =>
  fc.option(fc.integer({ min, max }), { nil: undefined, freq: 2 });

const waiters: fc.Arbitrary<Waiter> = fc.record({
  joinsAtMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60_000 })),
  by: fc.constantFrom("result" as const, "outcome" as const, "iteration" as const),
  breaksAfter: maybe(1, 4),
  leavesAfterMs: maybe(0, 60_000),
  readsForMs: fc.constantFrom(0, 0, 700),
  everyPoll: fc.boolean(),
  abortsAfterMs: fc.oneof(
    { weight: 1, arbitrary: fc.constant(0) },
    { weight: 9, arbitrary: maybe(1, 60_000) },
  ),
  timeoutMs: maybe(0, 60_000),
  stallMs: maybe(500, 30_000),
  onTimeout: fc.constantFrom("leave" as const, "cancel" as const),
  listens: fc.boolean(),
});

const scenarios: fc.Arbitrary<Scenario> = fc.record({
  draws: fc.array(draws, { maxLength: 25 }),
  doneAtMs: fc.oneof(
    { weight: 1, arbitrary: fc.constant(0) },
    { weight: 9, arbitrary: fc.integer({ min: 1, max: 90_000 }) },
  ),
  end: fc.constantFrom("succeeded" as const, "failed" as const, "cancelled" as const),
  changesEveryMs: fc.integer({ min: 200, max: 20_000 }),
  hasWait: fc.boolean(),
  cancel: fc.constantFrom("answer" as const, "hang" as const, "fail" as const),
  isFresh: fc.boolean(),
  mode: fc.constantFrom("auto" as const, "auto" as const, "poll" as const),
  maxWaitCallMs: fc.constantFrom(1000, 5000, 30_000),
  maxConsecutiveFailures: fc.constantFrom(1, 2, 3, 10),
  chance: fc.constantFrom(0, 0.5, 0.999),
  waiters: fc.array(waiters, { minLength: 1, maxLength: 5 }),
});

/** The outcome of a wait. */
type Settled =
  | { readonly how: "response"; readonly pages: number }
  | { readonly how: "final"; readonly snapshot: PrintSnapshot }
  | { readonly how: "left" }
  | { readonly how: "threw"; readonly error: unknown };

/** The course of a wait. */
interface Course {
  readonly waiter: Waiter;
  readonly abort: CountedAbort;
  /** The states that an iteration yielded. */
  readonly yielded: PrintSnapshot[];
  /** The states that `onProgress` was called with. */
  readonly heard: { readonly atMs: number; readonly snapshot: PrintSnapshot }[];
  readonly settled: { readonly atMs: number; readonly as: Settled }[];
}

/** Live through a scenario. Fails where a wait hangs. */
async function live(scenario: Scenario) {
  const clock = createSteppedClock();
  const startMs = clock.nowMs();
  const nowMs = () => clock.nowMs() - startMs;
  const server = createFaultyServer(clock, {
    ...scenario,
    graceMs: scenario.isFresh ? graceMs : 0,
  });
  const observed: WaitEnd[][] = [];
  const observer: WaitObserver = {
    waitStarted() {
      const ends: WaitEnd[] = [];
      observed.push(ends);
      return { ended: (end) => ends.push(end) };
    },
  };
  const client = createLongRunningClient({ print: Print }, server.transport, {
    clock,
    observer,
    mode: scenario.mode,
    maxWaitCallMs: scenario.maxWaitCallMs,
    maxConsecutiveFailures: scenario.maxConsecutiveFailures,
    notFoundGraceMs: graceMs,
    pollTimeoutMs,
    poll: { random: () => scenario.chance },
  });
  const handle = scenario.isFresh
    ? await client.print({})
    : await client.print.resume(scriptedName);
  server.begin();

  const courses = scenario.waiters.map((waiter): Course => {
    const course = {
      waiter,
      abort: createCountedAbort(),
      yielded: [],
      heard: [],
      settled: [],
    } satisfies Course;
    clock.schedule(waiter.joinsAtMs, () => void follow(handle, course, clock, nowMs));
    return course;
  });
  const last = Math.max(...scenario.waiters.map(({ joinsAtMs }) => joinsAtMs), scenario.doneAtMs);
  // Each draw costs at most one call without a response and one pause.
  const perDrawMs = scenario.maxWaitCallMs + pollTimeoutMs + longestDelayMs;
  const boundMs = last + (scenario.draws.length + 5) * perDrawMs;
  while (courses.some(({ settled }) => settled.length === 0)) {
    assert(await clock.step(), "somebody waits, and nothing is going to happen");
    assert(nowMs() <= boundMs, `somebody still waits after ${nowMs()} ms`);
  }
  await clock.settle();
  return { scenario, clock, server, handle, courses, observed, nowMs };
}

/** Wait as one of the scenario does, and note how it goes. */
async function follow(
  handle: PrintHandle,
  course: Course,
  clock: SteppedClock,
  nowMs: () => number,
): Promise<void> {
  const { waiter, abort, yielded, heard, settled } = course;
  const options: WaitOptions<PrintResponse, PrintMetadata> = {
    signal: abort.signal,
    timeoutMs: waiter.timeoutMs,
    stallMs: waiter.stallMs,
    onTimeout: waiter.onTimeout,
    onProgress: waiter.listens
      ? (snapshot) => {
          heard.push({ atMs: nowMs(), snapshot });
          if (waiter.everyPoll) throw new Error("a bug of the listener");
        }
      : undefined,
    onListenerError: () => undefined,
  };
  const { abortsAfterMs } = waiter;
  if (abortsAfterMs === 0) abort.abort(abortReason);
  const endAbort = abortsAfterMs && clock.schedule(abortsAfterMs, () => abort.abort(abortReason));
  const settle = (as: Settled) => {
    settled.push({ atMs: nowMs(), as });
    if (typeof endAbort === "function") endAbort();
  };
  const threw = (error: unknown) => settle({ how: "threw", error });
  switch (waiter.by) {
    case "result":
      return handle.result(options).then(({ pages }) => settle({ how: "response", pages }), threw);
    case "outcome":
      return handle.outcome(options).then((snapshot) => settle({ how: "final", snapshot }), threw);
    case "iteration": {
      const states = handle.watch({ ...options, everyPoll: waiter.everyPoll });
      return iterate(states, waiter, clock, yielded).then(settle, threw);
    }
  }
}

const abortReason = new Error("the waiter has had enough");

/** Read states until they end, or as far as the waiter wants to. */
async function iterate(
  states: AsyncIterable<PrintSnapshot>,
  { breaksAfter, leavesAfterMs, readsForMs }: Waiter,
  clock: SteppedClock,
  yielded: PrintSnapshot[],
): Promise<Settled> {
  const iterator = states[Symbol.asyncIterator]();
  let hasLeft = false;
  const unschedule =
    leavesAfterMs === undefined
      ? undefined
      : clock.schedule(leavesAfterMs, () => {
          hasLeft = true;
          void iterator.return?.();
        });
  try {
    for await (const state of { [Symbol.asyncIterator]: () => iterator }) {
      yielded.push(state);
      if (readsForMs > 0) {
        await new Promise<void>((resolve) => clock.schedule(readsForMs, resolve));
      }
      if (yielded.length === breaksAfter) return { how: "left" };
    }
  } finally {
    unschedule?.();
  }
  const snapshot = yielded.at(-1);
  if (hasLeft || snapshot === undefined) return { how: "left" };
  return { how: "final", snapshot };
}

type Life = Awaited<ReturnType<typeof live>>;

/** Whether a state is the end that the scenario has. */
function assertIsEnd({ end }: Scenario, snapshot: PrintSnapshot): void {
  expect(snapshot.kind).toBe(end);
  if (snapshot.kind === "succeeded") expect(snapshot.response.pages).toBe(endPages);
  if (snapshot.kind === "failed") expect(snapshot.error.code).toBe(endCode);
}

/** The number of consecutive polls that may have failed for a wait that gave up at a time. */
function failuresBefore({ looks }: Life["server"], { joinsAtMs }: Waiter, atMs: number): number {
  const before = looks.filter((look) => look.atMs >= joinsAtMs && look.atMs <= atMs);
  // A wait may receive two polls that end at one time in either order.
  const from = before.findLastIndex((look) => look.end === "shown" && look.atMs < atMs);
  return before.slice(from + 1).filter(({ end }) => end === "failed").length;
}

/** Whether an answer of that time was read; the last follower that leaves at that time loses it. */
function someoneSaw({ scenario, courses }: Life, atMs: number): boolean {
  if (scenario.doneAtMs === 0) return true;
  return courses.some(({ waiter, settled: [end] }) => {
    if (end === undefined || waiter.joinsAtMs > atMs || end.atMs < atMs) return false;
    const { as } = end;
    if (as.how !== "threw") return end.atMs > atMs || as.how !== "left";
    return end.atMs > atMs || (as.error as OperationError).snapshot?.kind !== "running";
  });
}

/** Compares the outcome of a wait with the behaviour of the server and the options of the wait. */
function assertCourse(life: Life, course: Course): string {
  const { scenario, server } = life;
  const { waiter, yielded, heard, settled, abort } = course;
  const [first, ...more] = settled;
  assert(first !== undefined && more.length === 0, "a wait settles once");
  const { atMs, as } = first;
  const { joinsAtMs, abortsAfterMs, timeoutMs, stallMs, readsForMs, leavesAfterMs } = waiter;
  const sinceMs = atMs - joinsAtMs;
  /** A slow reader still reads the state that it has and the one that came in between. */
  const slackMs = 2 * readsForMs;
  const within = (fromMs: number, toMs: number) => {
    expect(sinceMs).toBeGreaterThanOrEqual(fromMs);
    expect(sinceMs).toBeLessThanOrEqual(toMs + slackMs);
  };

  // The last poll and the request to cancel take a second each at most.
  const lastMs = 1000 * (waiter.onTimeout === "cancel" ? 2 : 1);
  if (abortsAfterMs !== undefined) within(0, abortsAfterMs);
  if (timeoutMs !== undefined) within(0, timeoutMs + lastMs);
  const changedMs = Math.max(0, ...heard.map((one) => one.atMs - joinsAtMs));
  if (stallMs !== undefined && waiter.listens) within(0, changedMs + stallMs + lastMs);
  if (waiter.by === "iteration" && leavesAfterMs !== undefined) within(0, leavesAfterMs);
  expect(abort.listeners()).toBe(0);

  // The end is known to all at the moment that the server has shown it to one.
  const shownAtMs = server.endShownAtMs();
  if (shownAtMs !== undefined && someoneSaw(life, shownAtMs)) {
    expect(atMs).toBeLessThanOrEqual(Math.max(shownAtMs, joinsAtMs) + slackMs);
  }

  // States come in order: none twice in a row, none after the end.
  for (const states of [yielded, heard.map(({ snapshot }) => snapshot)]) {
    for (const [at, state] of states.entries()) {
      if (state.kind !== "running") {
        assertIsEnd(scenario, state);
        expect(at).toBe(states.length - 1);
      }
      if (!waiter.everyPoll) expect(state).not.toBe(states[at - 1]);
      expect(Object.isFrozen(state)).toBe(true);
    }
  }
  for (const { atMs: heardAtMs } of heard) expect(heardAtMs).toBeLessThanOrEqual(atMs);

  if (as.how === "left") return "left";
  if (as.how !== "threw") {
    expect(atMs).toBeGreaterThanOrEqual(scenario.doneAtMs);
    if (as.how === "response") expect([scenario.end, as.pages]).toEqual(["succeeded", endPages]);
    else assertIsEnd(scenario, as.snapshot);
    if (waiter.listens) expect(heard.at(-1)?.snapshot.kind).toBe(scenario.end);
    return as.how === "response" ? "succeeded" : as.snapshot.kind;
  }
  const { error } = as;
  assert(error instanceof OperationError, `threw ${String(error)}`);
  expect(error.operationName).toBe(scriptedName);
  within(error.elapsedMs, error.elapsedMs);
  switch (error.kind) {
    case "failed":
    case "cancelled":
      expect(waiter.by).toBe("result");
      expect(error.kind).toBe(scenario.end);
      expect(error.code).toBe(error.kind === "failed" ? endCode : Code.Canceled);
      expect(atMs).toBeGreaterThanOrEqual(scenario.doneAtMs);
      break;
    case "aborted":
      expect(error).toMatchObject({ code: Code.Canceled, cause: abortReason });
      within(abortsAfterMs ?? never, abortsAfterMs ?? 0);
      break;
    case "timeout": {
      expect(error.code).toBe(Code.DeadlineExceeded);
      const limit = standardDetailsOf(error).errorInfo?.metadata.limit;
      if (limit === "timeoutMs") within(timeoutMs ?? never, never);
      // While the cancellation is asked for, which settles it, there may be a change.
      else if (waiter.onTimeout === "leave") within(changedMs + (stallMs ?? never), never);
      else within(stallMs ?? never, never);
      break;
    }
    case "poll":
      expect(error.consecutiveFailures).toBe(scenario.maxConsecutiveFailures);
      expect(failuresBefore(server, waiter, joinsAtMs + error.elapsedMs)).toBeGreaterThanOrEqual(
        scenario.maxConsecutiveFailures,
      );
      break;
    default:
      assert.fail(`no wait may end as "${error.kind}"`);
  }
  return error.kind;
}

/** Checks that no timer and no call is left, that each observer was called once, and that the handle works. */
async function assertAfterwards({ scenario, clock, server, handle, courses, observed }: Life) {
  expect(clock.scheduled()).toBe(0);
  expect(server.open()).toBe(0);
  expect(observed).toHaveLength(courses.length);
  for (const ends of observed) expect(ends).toHaveLength(1);

  const looksBefore = server.looks.length;
  const wasDone = handle.snapshot.kind !== "running";
  const again = handle.outcome();
  let hasSettled = false;
  const settling = again.then(
    (snapshot) => {
      hasSettled = true;
      assertIsEnd(scenario, snapshot);
    },
    (error: unknown) => {
      hasSettled = true;
      expect(error).toMatchObject({ kind: "poll" });
    },
  );
  await clock.settle();
  if (wasDone) expect([server.looks.length, clock.scheduled()]).toEqual([looksBefore, 0]);
  else while (!hasSettled) assert(await clock.step(), "it waits, and nothing is going to happen");
  await settling;
  await clock.settle();
  expect([clock.scheduled(), server.open()]).toEqual([0, 0]);
}

describe("a wait at a faulty server", () => {
  it("settles once, correctly, and leaves no timer and no call", async () => {
    const endings = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(scenarios, async (scenario) => {
        const life = await live(scenario);
        for (const course of life.courses) {
          const ending = assertCourse(life, course);
          endings.set(ending, (endings.get(ending) ?? 0) + 1);
        }
        await assertAfterwards(life);
      }),
      { numRuns: 1000 },
    );
    // The draws reach every way that a wait may end.
    for (const ending of [
      "succeeded",
      "failed",
      "cancelled",
      "left",
      "aborted",
      "timeout",
      "poll",
    ]) {
      expect(endings.get(ending), ending).toBeGreaterThan(20);
    }
  }, 120_000);
});

describe("a wait that ends during a call", () => {
  const start = async (script: Partial<FaultScript>) => {
    const clock = createSteppedClock();
    const server = createFaultyServer(clock, {
      draws: [],
      doneAtMs: 60_000,
      end: "succeeded",
      changesEveryMs: 60_000,
      hasWait: false,
      graceMs: 0,
      cancel: "answer",
      ...script,
    });
    const options = { clock, poll: { jitter: 0 } };
    const client = createLongRunningClient({ print: Print }, server.transport, options);
    const handle = await client.print({});
    server.begin();
    return { clock, server, handle };
  };

  it("returns at once from an iteration that is left between two states", async () => {
    const { clock, server, handle } = await start({});
    const iterator = handle[Symbol.asyncIterator]();
    await iterator.next();
    const next = iterator.next();
    await clock.settle();
    const back = iterator.return?.();
    expect(await Promise.all([next, back])).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    expect([clock.scheduled(), server.open()]).toEqual([0, 0]);
  });

  it("aborts its request to cancel when a poll shows the final state", async () => {
    const { clock, server, handle } = await start({ doneAtMs: 2100, cancel: "hang" });
    const first = handle.result({ timeoutMs: 2000, onTimeout: "cancel" });
    while (handle.snapshot.kind === "running") await clock.step();
    expect(await first).toMatchObject({ pages: endPages });
    await clock.settle();
    expect([clock.scheduled(), server.open()]).toEqual([0, 0]);
  });
});
