import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import {
  createLongRunningClient,
  OperationError,
  type OperationHandle,
  watchAll,
} from "../../src/index.js";
import type { PrintMetadata, PrintResponse } from "../gen/printing/v1/printing_pb.js";
import {
  type Breakage,
  createFailingServer,
  cutAfter,
  type FetchWire,
  fetchWires,
  withCode,
  withCutBody,
  withDateSetBy,
  withoutConnection,
  withPage,
  withSilence,
} from "../support/failing-fetch.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

/**
 * How one failed poll by GetOperation or a list ends:
 *
 * - `passes`: the client polls again.
 * - `poll`: the wait ends, as the failure is permanent.
 * - `gone`: NOT_FOUND of an operation that a poll has shown before.
 */
type Verdict = "passes" | "poll" | "gone";

/** Failures that leave GetOperation and lists as they are. */
const cutBySlowProxy = cutAfter(8000, 504);
const dateSet = withDateSetBy(-3_600_000);
const dateSetAhead = withDateSetBy(3_600_000);
const harmless: ReadonlySet<Breakage> = new Set([cutBySlowProxy, dateSet, dateSetAhead]);

/** The kinds of failure. */
const failures: readonly [title: string, breakage: Breakage, verdict: Verdict][] = [
  ["CANCELLED", withCode(Code.Canceled), "passes"],
  ["UNKNOWN", withCode(Code.Unknown), "passes"],
  ["INVALID_ARGUMENT", withCode(Code.InvalidArgument), "passes"],
  ["DEADLINE_EXCEEDED", withCode(Code.DeadlineExceeded), "passes"],
  ["NOT_FOUND", withCode(Code.NotFound), "gone"],
  ["ALREADY_EXISTS", withCode(Code.AlreadyExists), "poll"],
  ["PERMISSION_DENIED", withCode(Code.PermissionDenied), "poll"],
  ["RESOURCE_EXHAUSTED", withCode(Code.ResourceExhausted), "passes"],
  ["FAILED_PRECONDITION", withCode(Code.FailedPrecondition), "poll"],
  ["ABORTED", withCode(Code.Aborted), "passes"],
  ["OUT_OF_RANGE", withCode(Code.OutOfRange), "poll"],
  ["UNIMPLEMENTED", withCode(Code.Unimplemented), "passes"],
  ["INTERNAL", withCode(Code.Internal), "passes"],
  ["UNAVAILABLE", withCode(Code.Unavailable), "passes"],
  ["DATA_LOSS", withCode(Code.DataLoss), "poll"],
  ["UNAUTHENTICATED", withCode(Code.Unauthenticated), "poll"],
  ["UNAVAILABLE, Retry-After: 0", withCode(Code.Unavailable, { "retry-after": "0" }), "passes"],
  [
    "UNAVAILABLE, Retry-After: a date in the past",
    withCode(Code.Unavailable, { "retry-after": new Date(0).toUTCString() }),
    "passes",
  ],
  ["a page with HTTP 404", withPage(404), "passes"],
  ["a page with HTTP 429", withPage(429), "passes"],
  ["a page with HTTP 500", withPage(500), "passes"],
  ["a page with HTTP 502", withPage(502), "passes"],
  ["a page with HTTP 503", withPage(503), "passes"],
  ["a page with HTTP 504", withPage(504), "passes"],
  ["a page with HTTP 200", withPage(200), "passes"],
  ["a body that ends early", withCutBody("ended"), "passes"],
  ["a body that is reset", withCutBody("reset"), "passes"],
  ["no connection", withoutConnection, "passes"],
  ["no response", withSilence, "passes"],
  ["a call that a proxy cuts after 8 s", cutBySlowProxy, "passes"],
  ["a date that is set back by an hour", dateSet, "passes"],
  ["a date that is set ahead by an hour", dateSetAhead, "passes"],
];

/** The poll that fails: the first, one in the middle, or the one that would show the final state. */
const positions = ["first", "middle", "last"] as const;
type Position = (typeof positions)[number];

/** The operation is done after 40 s; a client that polls at its longest delay sees that by then. */
const doneMs = 40_000;
/** The time of an outcome: a poll that was not answered in 10 s, pauses, and two more polls. */
const latestMs = doneMs + 10 * 60_000;

const verbs = ["result", "watch", "watchAll"] as const;
type Verb = (typeof verbs)[number];

/** The outcome of a wait by a verb: the kind of the final state or of the error. */
async function outcomeOf(verb: Verb, handles: readonly Handle[]): Promise<string> {
  const [handle] = handles;
  assert(handle !== undefined);
  try {
    switch (verb) {
      case "result":
        return `${(await handle.result()).pages} pages`;
      case "watch":
        for await (const snapshot of handle) {
          if (snapshot.kind === "succeeded") return `${snapshot.response.pages} pages`;
        }
        return "no final state";
      case "watchAll":
        for await (const { snapshot, error } of watchAll(handles)) {
          if (error !== undefined) return error.kind;
          if (snapshot.kind === "succeeded") return `${snapshot.response.pages} pages`;
        }
        return "no final state";
    }
  } catch (error) {
    return error instanceof OperationError ? error.kind : String(error);
  }
}

type Handle = OperationHandle<PrintResponse, PrintMetadata>;

interface Cell {
  readonly wire: FetchWire;
  readonly verb: Verb;
  readonly position: Position;
  readonly breakage: Breakage;
  /**
   * - `waits`: each WaitOperation from the position on; GetOperation works.
   * - `one`: one poll, by GetOperation or a list.
   * - `all`: each poll from the position on.
   */
  readonly broken: "waits" | "one" | "all";
}

/** Waits once in spite of a failure. */
async function live({ wire, verb, position, breakage, broken }: Cell) {
  const server = createFailingServer(wire);
  const { clock, polls } = server;
  const mode = broken === "one" ? "poll" : "auto";
  const client = createLongRunningClient({ print: Print }, server.transport, {
    clock,
    mode,
    poll: { jitter: 0 },
  });
  let hasStarted = false;
  const starting = Promise.all([client.print({}), client.print({})]).finally(() => {
    hasStarted = true;
  });
  while (!hasStarted) await clock.settle();
  const handles = await starting;
  polls.length = 0;
  const startMs = clock.monotonicMs();
  const isDone = () => clock.monotonicMs() - startMs >= doneMs;
  let seen = 0;
  let failed = 0;
  const mayFail = () => broken !== "one" || failed === 0;
  const fail: Breakage = (...call) => {
    failed += 1;
    return breakage(...call);
  };
  server.breaks = (asked) => {
    if (asked === "other" || (broken === "waits" && asked !== "WaitOperation")) return undefined;
    seen += 1;
    if (!mayFail()) return undefined;
    if (position !== "last") return seen > (position === "first" ? 0 : 1) ? fail : undefined;
    if (isDone()) return fail;
    // The server holds the call; the response with the final state is broken.
    return async (request, serve, at) => {
      const response = await serve();
      return isDone() && mayFail() ? fail(request, async () => response, at) : response;
    };
  };
  let outcome: string | undefined;
  void outcomeOf(verb, handles).then((value) => {
    outcome = value;
  });
  const settle = async () => {
    for (let turn = 0; turn < turnsOfCall; turn += 1) await clock.settle();
  };
  await settle();
  while (
    outcome === undefined &&
    clock.monotonicMs() - startMs < latestMs &&
    (await clock.step())
  ) {
    await settle();
  }
  const minutes = Math.ceil((clock.monotonicMs() - startMs) / 60_000);
  expect(polls.length).toBeLessThanOrEqual(24 * minutes);
  return { outcome, failed };
}

/** Turns of the event loop in which a request in this process and its response come through. */
const turnsOfCall = 8;

describe.each(fetchWires)("a failure over %s", (wire) => {
  it.each(failures)("%s of WaitOperation alone ends no wait", async (_, breakage) => {
    for (const verb of ["result", "watch"] as const) {
      for (const position of positions) {
        const { outcome, failed } = await live({ wire, verb, position, breakage, broken: "waits" });
        expect([verb, position, outcome]).toEqual([verb, position, "3 pages"]);
        expect(failed).toBeGreaterThan(0);
      }
    }
  });

  it.each(failures)("%s of one poll by GetOperation or a list", async (_, breakage, verdict) => {
    for (const verb of verbs) {
      for (const position of positions) {
        const { outcome, failed } = await live({ wire, verb, position, breakage, broken: "one" });
        expect([verb, position, outcome, failed]).toEqual([
          verb,
          position,
          expectedOf(verb, position, verdict),
          1,
        ]);
      }
    }
  });

  it.each(failures)("%s of each poll", async (_, breakage, verdict) => {
    for (const verb of verbs) {
      const cell = { wire, verb, position: "middle", breakage, broken: "all" } as const;
      const { outcome } = await live(cell);
      const isBearable = harmless.has(breakage);
      expect([verb, outcome]).toEqual([
        verb,
        isBearable ? "3 pages" : verdict === "gone" ? "gone" : "poll",
      ]);
    }
  });
});

describe.each(fetchWires)("a start over %s", (wire) => {
  const immediate = failures.filter(([, one]) => one !== withSilence && !harmless.has(one));

  it.each(immediate)("is sent again after %s if that is UNAVAILABLE", async (_, breakage) => {
    const server = createFailingServer(wire);
    const { clock, polls } = server;
    const client = createLongRunningClient({ print: Print }, server.transport, {
      clock,
      poll: { jitter: 0 },
    });
    server.breaks = () => breakage;
    const { code } = await rejectionOf(client.print({}, { maxTries: 1 }));
    polls.length = 0;
    server.breaks = () => (polls.length === 1 ? breakage : undefined);
    const starting = client.print({}).then(
      ({ name }) => name,
      (error: unknown) => ConnectError.from(error).code,
    );
    let started: string | Code | undefined;
    void starting.then((value) => {
      started = value;
    });
    while (started === undefined) {
      for (let turn = 0; turn < turnsOfCall; turn += 1) await clock.settle();
      await clock.step();
    }
    if (code === Code.Unavailable) expect([typeof started, polls.length]).toEqual(["string", 2]);
    else expect([started, polls.length]).toEqual([code, 1]);
  });
});

/** The outcome of a wait of which one poll by GetOperation or a list has failed. */
function expectedOf(verb: Verb, position: Position, verdict: Verdict): string {
  // GetOperation, or the next list, decides after a failed list.
  if (verb === "watchAll" || verdict === "passes") return "3 pages";
  // A replica may not have the operation yet.
  if (verdict === "gone" && position === "first") return "3 pages";
  return verdict;
}
