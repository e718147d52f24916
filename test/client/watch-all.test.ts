import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import fc from "fast-check";
import { assert, describe, expect, expectTypeOf, it } from "vitest";
import { pack } from "../../src/any/index.js";
import {
  type ClientOptions,
  createLongRunningClient,
  filter,
  longRunning,
  OperationError,
  type OperationHandle,
  type OperationUpdate,
  type Snapshot,
  type WaitEnd,
  type WatchAllOptions,
  watchAll,
} from "../../src/index.js";
import {
  type ListOperationsRequest,
  ListOperationsResponseSchema,
  type Operation,
  Operations,
  RetryInfoSchema,
} from "../../src/protos.js";
import { createManualClock, type ManualClock } from "../../src/testing/index.js";
import {
  type PrintMetadata,
  PrintMetadataSchema,
  type PrintResponse,
  PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";
import { anOperation } from "../support/an-operation.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

type PrintHandle = OperationHandle<PrintResponse, PrintMetadata>;
type Update = OperationUpdate<OperationHandle<unknown, unknown>>;

/** Answers of a fleet's server, where they are not the usual ones. */
interface FleetScript {
  /** How many operations there are. Default: 3. */
  count?: number;
  /** When each of them is done, in milliseconds from the start. Default: never. */
  doneAtMs?: (at: number) => number;
  /** Most operations that it sends in one page. Default: 1000. */
  pageCap?: number;
  /** Operations of others that come before them in the list. Default: 0. */
  others?: number;
  /** Called before each list, whose error is its exception. */
  onList?: (request: ListOperationsRequest, atMs: number) => unknown;
  /** Called before each get, whose error is its exception. */
  onGet?: (at: number, atMs: number) => unknown;
  /** The operation in the list. Default: its state. */
  listed?: (operation: Operation, at: number) => Operation | undefined;
  options?: ClientOptions;
}

/** Many printing operations of one parent on one server, and handles of them. */
interface Fleet {
  readonly clock: ManualClock;
  readonly transport: Transport;
  readonly handles: PrintHandle[];
  /** The requests since the handles were made. */
  readonly requests: { method: "list" | "get"; name: string; pageToken: string; atMs: number }[];
  readonly filters: string[];
  count(method: "list" | "get"): number;
  /** Most requests that were under way at once. */
  mostAtOnce(): number;
}

const parent = "printers/1";
const nameOf = (at: number) => `${parent}/operations/${at}`;

async function createFleet(script: FleetScript = {}): Promise<Fleet> {
  const { count = 3, doneAtMs = () => Number.POSITIVE_INFINITY, pageCap = 1000 } = script;
  const clock = createManualClock();
  const startMs = clock.nowMs();
  const requests: Fleet["requests"] = [];
  const filters: string[] = [];
  let underWay = 0;
  let mostAtOnce = 0;
  const note = async (method: "list" | "get", name: string, pageToken: string) => {
    requests.push({ method, name, pageToken, atMs: clock.nowMs() - startMs });
    underWay += 1;
    mostAtOnce = Math.max(mostAtOnce, underWay);
    await Promise.resolve();
    underWay -= 1;
    return clock.nowMs() - startMs;
  };
  const stateOf = (at: number, atMs: number): Operation =>
    atMs < doneAtMs(at) ? anOperation({ name: nameOf(at) }) : finished(nameOf(at), at);
  const others = Array.from({ length: script.others ?? 0 }, (_, at) =>
    anOperation({ name: `${parent}/operations/other-${at}` }),
  );
  const transport = createRouterTransport((router) => {
    router.rpc(PrintService.method.print, ({ pages }) => stateOf(pages, 0));
    router.service(Operations, {
      async getOperation({ name }) {
        const atMs = await note("get", name, "");
        const at = Number(name.slice(name.lastIndexOf("/") + 1));
        await script.onGet?.(at, atMs);
        return stateOf(at, atMs);
      },
      async listOperations(request) {
        filters.push(request.filter);
        const atMs = await note("list", request.name, request.pageToken);
        await script.onList?.(request, atMs);
        const ours = Array.from({ length: count }, (_, at) => {
          const state = stateOf(at, atMs);
          return script.listed === undefined ? state : script.listed(state, at);
        });
        const all = [...others, ...ours.filter((operation) => operation !== undefined)];
        const from = Number(request.pageToken || 0);
        const to = from + Math.min(pageCap, request.pageSize);
        return create(ListOperationsResponseSchema, {
          operations: all.slice(from, to),
          nextPageToken: to < all.length ? String(to) : "",
        });
      },
    });
  });
  const options = { clock, mode: "poll" as const, poll: { jitter: 0 }, ...script.options };
  const client = createLongRunningClient({ print: Print }, transport, options);
  // Started, and not resumed, which would ask for each of them.
  const handles = await Promise.all(
    Array.from({ length: count }, (_, pages) => client.print({ pages })),
  );
  return {
    clock,
    transport,
    handles,
    requests,
    filters,
    count: (method) => requests.filter((request) => request.method === method).length,
    mostAtOnce: () => mostAtOnce,
  };
}

function finished(name: string, pages: number): Operation {
  return anOperation({
    name,
    done: true,
    result: { case: "response", value: pack(PrintResponseSchema, { pages }) },
  });
}

/** Follows all in the background. Returns the updates and the end. */
function collect<H extends OperationHandle<unknown, unknown>>(
  handles: Iterable<H>,
  options?: WatchAllOptions,
) {
  const updates: OperationUpdate<H>[] = [];
  const end = (async () => {
    for await (const update of watchAll(handles, options)) updates.push(update);
  })();
  // A test that does not expect an error awaits it.
  end.catch(() => undefined);
  return { updates, end };
}

/** An update in short: its index in the fleet and its kind. */
function briefly({ handle, snapshot, error }: Update): string {
  return `${handle.name.slice(handle.name.lastIndexOf("/") + 1)} ${error?.kind ?? snapshot?.kind}`;
}

async function operationErrorOf(call: Promise<unknown>): Promise<OperationError> {
  const error = await rejectionOf(call);
  assert(error instanceof OperationError);
  return error;
}

const fault = (code: Code, message = "") => new ConnectError(message, code);
const busyFor = (seconds: bigint) =>
  new ConnectError("busy", Code.ResourceExhausted, undefined, [
    { desc: RetryInfoSchema, value: { retryDelay: { seconds } } },
  ]);

describe("the requests of watchAll", () => {
  /** The polls of one single wait, by the schedule: each is one request. */
  const singleLooks = (doneAtMs: number) => {
    let looks = 0;
    for (let atMs = 0, delayMs = 1000; atMs < doneAtMs; delayMs = Math.min(delayMs * 1.5, 20_000)) {
      atMs += delayMs;
      looks += 1;
    }
    return looks;
  };

  it.each([
    ["ending one after the other, in pages of 1000", 1000, (at: number) => 20_000 + at * 300],
    ["ending together, in pages of 100", 100, () => 300_000],
  ])("1,000 operations, %s: a hundredth of 1,000 single waits", async (_, pageCap, doneAtMs) => {
    const fleet = await createFleet({ count: 1000, pageCap, doneAtMs });
    const { updates, end } = collect(fleet.handles);
    await fleet.clock.advance(400_000);
    await end;
    expect(updates).toHaveLength(2000);
    const single = fleet.handles.reduce((sum, _, at) => sum + singleLooks(doneAtMs(at)), 0);
    expect(fleet.requests.length * 100).toBeLessThanOrEqual(single);
  });

  it("against our own server as well, single waits counted there", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { transport, clock } = createPrintServer(() => gate.promise);
    let requests = 0;
    const counted: Transport = {
      ...transport,
      unary(method, ...rest) {
        if (method.parent.typeName === Operations.typeName) requests += 1;
        return transport.unary(method, ...rest);
      },
    };
    const options = { clock, mode: "poll" as const, poll: { jitter: 0 } };
    const client = createLongRunningClient({ print: Print }, counted, options);
    const handles: PrintHandle[] = [];
    for (let at = 0; at < 1000; at += 1) handles.push(await client.print({ parent }));
    const controller = new AbortController();
    const waiting = rejectionOf(handles[0]?.result({ signal: controller.signal }) ?? gate.promise);
    await clock.advance(60_000);
    controller.abort();
    await waiting;
    const single = requests;
    requests = 0;
    const { updates, end } = collect(handles);
    await clock.advance(60_000);
    expect(single).toBe(8);
    expect(requests).toBeGreaterThan(0);
    expect(requests * 100).toBeLessThanOrEqual(1000 * single);
    gate.resolve({ pages: 1 });
    await clock.advance(30_000);
    await end;
    expect(updates.filter(({ snapshot }) => snapshot?.kind === "succeeded")).toHaveLength(1000);
    requests = 0;
    for (const handle of handles) expect(await handle.result()).toMatchObject({ pages: 1 });
    expect(requests).toBe(0);
    expect(clock.scheduled()).toBe(0);
  });

  it("polls a single operation by GetOperation, on the schedule of single waits", async () => {
    const { clock, handles, requests } = await createFleet({ count: 1, doneAtMs: () => 5000 });
    const { end } = collect(handles);
    await clock.advance(60_000);
    await end;
    expect(requests.map(({ method, atMs }) => [method, atMs])).toEqual([
      ["get", 1000],
      ["get", 2500],
      ["get", 4750],
      ["get", 8125],
    ]);
  });

  it("stop a list when all operations were on its pages", async () => {
    const { clock, handles, count } = await createFleet({ count: 300, pageCap: 100 });
    const controller = new AbortController();
    const { end } = collect(handles.slice(0, 150), { signal: controller.signal });
    await clock.advance(1000);
    expect(count("list")).toBe(2);
    expect(count("get")).toBe(0);
    controller.abort();
    await rejectionOf(end);
  });

  it("stop a list that costs more than single polls, for ten rounds", async () => {
    const fleet = await createFleet({ count: 20, others: 5000, options: { notFoundGraceMs: 0 } });
    const { end } = collect(fleet.handles, {
      poll: { jitter: 0, multiplier: 1 },
      timeoutMs: 12_500,
    });
    await fleet.clock.advance(12_500);
    expect((await operationErrorOf(end)).kind).toBe("timeout");
    const lists = fleet.requests.filter(({ method }) => method === "list");
    // A page of a thousand counts as eleven requests; two of them are more than 20.
    expect(lists.map(({ atMs }) => atMs)).toEqual([1000, 1000, 12_000, 12_000]);
    expect(fleet.count("get")).toBe(13 * 20);
  });

  it("go on with lists while a replica may not have the operations yet", async () => {
    const fleet = await createFleet({
      count: 50,
      doneAtMs: () => 9000,
      listed: (operation) => (fleet.clock.nowMs() % 60_000 < 2000 ? undefined : operation),
      onGet: (_, atMs) => {
        if (atMs < 2000) throw fault(Code.NotFound);
      },
    });
    const { updates, end } = collect(fleet.handles);
    await fleet.clock.advance(60_000);
    await end;
    expect(updates.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(fleet.count("list")).toBe(5);
    expect(fleet.count("get")).toBe(50);
  });
});

describe("the updates of watchAll", () => {
  it("the present states, then each as it changes, the final one always, each once", async () => {
    const { clock, handles } = await createFleet({ doneAtMs: (at) => 2000 * at });
    const { updates, end } = collect(handles);
    await clock.advance(10);
    expect(updates.map(briefly)).toEqual(["0 succeeded", "1 running", "2 running"]);
    await clock.advance(60_000);
    await end;
    expect(updates.map(briefly).slice(3)).toEqual(["1 succeeded", "2 succeeded"]);
    expect(updates[1]?.handle).toBe(handles[1]);
    expect(updates[3]?.snapshot).toBe(handles[1]?.snapshot);
    expect(clock.scheduled()).toBe(0);
  });

  it("nothing, at once, for no handles", async () => {
    const { updates, end } = collect([], { timeoutMs: 10 });
    await end;
    expect(updates).toEqual([]);
  });

  it("one that is given twice, once", async () => {
    const { clock, handles, requests } = await createFleet({ count: 1, doneAtMs: () => 500 });
    const { updates, end } = collect([...handles, ...handles]);
    await clock.advance(1000);
    await end;
    expect(updates).toHaveLength(2);
    expect(requests).toHaveLength(1);
  });

  it("show progress, and the latest state to a slow consumer", async () => {
    const fleet = await createFleet({
      doneAtMs: () => 8000,
      listed: (operation, at) => ({
        ...operation,
        metadata: pack(PrintMetadataSchema, { pagesPrinted: at === 0 ? fleet.requests.length : 1 }),
      }),
    });
    const updates = watchAll(fleet.handles)[Symbol.asyncIterator]();
    for (let count = 0; count < 3; count += 1) await updates.next();
    const seen: unknown[] = [];
    for (let count = 0; count < 4; count += 1) {
      const next = updates.next();
      await fleet.clock.advance(count === 0 ? 5000 : 0);
      const { snapshot, handle } = (await next).value ?? {};
      seen.push([handle?.name, snapshot?.metadata?.pagesPrinted]);
    }
    expect(seen).toEqual([
      [nameOf(0), 1],
      [nameOf(1), 1],
      [nameOf(2), 1],
      [nameOf(0), 3],
    ]);
    await updates.return?.();
  });

  it("failures of operations as states, and their results settle from memory", async () => {
    const { clock, handles, requests } = await createFleet({
      doneAtMs: () => 500,
      listed: (operation, at) =>
        at === 1
          ? anOperation({
              name: operation.name,
              done: true,
              result: { case: "error", value: { code: Code.Aborted, message: "jam" } },
            })
          : operation,
    });
    const { updates, end } = collect(handles);
    await clock.advance(1000);
    await end;
    expect(updates.map(briefly).slice(3)).toEqual(["0 succeeded", "1 failed", "2 succeeded"]);
    expect(await handles[0]?.result()).toMatchObject({ pages: 0 });
    expect(handles[1]?.snapshot.kind).toBe("failed");
    expect((await operationErrorOf(handles[1]?.result() ?? end)).rawMessage).toBe("jam");
    expect(requests).toHaveLength(1);
  });

  it("an error for one that is gone, and follows the others on", async () => {
    const { clock, handles } = await createFleet({
      doneAtMs: () => 4000,
      listed: (operation, at) => (at === 1 ? undefined : operation),
      onGet: () => {
        throw fault(Code.NotFound, "deleted");
      },
      options: { notFoundGraceMs: 2000 },
    });
    const { updates, end } = collect(handles);
    await clock.advance(60_000);
    await end;
    expect(updates.map(briefly).slice(3)).toEqual(["1 gone", "0 succeeded", "2 succeeded"]);
    expect(updates[3]?.error).toMatchObject({
      code: Code.NotFound,
      rawMessage: "deleted",
      operationName: nameOf(1),
      polls: 2,
      elapsedMs: 2500,
      snapshot: { kind: "running" },
      resumeToken: { name: nameOf(1) },
    });
  });

  it("what others have seen of an operation in the meantime", async () => {
    const { clock, handles, requests } = await createFleet({ count: 2, doneAtMs: () => 400 });
    const { updates, end } = collect(handles, { poll: { initialDelayMs: 1000, jitter: 0 } });
    const results = handles.map((handle) => handle.result({ poll: { initialDelayMs: 500 } }));
    await clock.advance(500);
    await Promise.all(results);
    await clock.advance(500);
    await end;
    expect(updates.map(briefly).slice(2)).toEqual(["0 succeeded", "1 succeeded"]);
    expect(requests.every(({ method }) => method === "get")).toBe(true);
  });

  it("operations of different clients, methods and parents, each with its types", async () => {
    const one = await createFleet({ count: 2, doneAtMs: () => 500 });
    const Clean = longRunning(PrintService.method.clean);
    const other = createRouterTransport((router) => {
      router.rpc(PrintService.method.clean, () => anOperation({ name: "operations/c" }));
      router.service(Operations, {
        getOperation: ({ name }) => anOperation({ name, done: true }),
      });
    });
    const cleaner = createLongRunningClient({ clean: Clean }, other, {
      clock: one.clock,
      onMissingResult: "empty",
    });
    const handles = [...one.handles, await cleaner.clean({})];
    const { updates, end } = collect(handles);
    await one.clock.advance(1000);
    await end;
    expect(updates.map(briefly).slice(3).sort()).toEqual([
      "0 succeeded",
      "1 succeeded",
      "c succeeded",
    ]);
    expectTypeOf(collect(one.handles).updates).toEqualTypeOf<OperationUpdate<PrintHandle>[]>();
    expectTypeOf<OperationUpdate<PrintHandle>["snapshot"]>().toEqualTypeOf<
      Snapshot<PrintResponse, PrintMetadata> | undefined
    >();
  });
});

describe("servers that cannot list", () => {
  it("are asked for a list once if it is UNIMPLEMENTED", async () => {
    const fleet = await createFleet({
      count: 25,
      doneAtMs: () => 3000,
      onList: () => {
        throw fault(Code.Unimplemented);
      },
    });
    const { end } = collect(fleet.handles.slice(0, 20));
    await fleet.clock.advance(60_000);
    await end;
    expect(fleet.count("list")).toBe(1);
    const gets = fleet.requests.filter(({ method }) => method === "get");
    expect(new Set(gets.map(({ atMs }) => atMs))).toEqual(new Set([1000, 2500, 4750]));
    expect(gets).toHaveLength(60);
    expect(fleet.mostAtOnce()).toBe(10);
    const again = collect(fleet.handles.slice(20));
    await fleet.clock.advance(60_000);
    await again.end;
    expect(fleet.count("list")).toBe(1);
    expect(fleet.count("get")).toBe(65);
  });

  it.each([
    ["PERMISSION_DENIED", () => fault(Code.PermissionDenied), [parent]],
    [
      "another form of the name",
      () => fault(Code.InvalidArgument),
      [parent, `${parent}/operations`],
    ],
  ])("%s: single looks from then on", async (_, answer, names) => {
    const fleet = await createFleet({
      doneAtMs: () => 3000,
      onList: () => {
        throw answer();
      },
    });
    const { end } = collect(fleet.handles);
    await fleet.clock.advance(60_000);
    await end;
    const lists = fleet.requests.filter(({ method }) => method === "list");
    expect(lists.map(({ name }) => name)).toEqual(names);
    expect(fleet.count("get")).toBe(9);
  });

  it("one that wants the name of the collection is listed by that", async () => {
    const fleet = await createFleet({
      doneAtMs: () => 3000,
      onList: ({ name }) => {
        if (!name.endsWith("/operations")) throw fault(Code.InvalidArgument);
      },
    });
    const { end } = collect(fleet.handles);
    await fleet.clock.advance(60_000);
    await end;
    expect(fleet.count("list")).toBe(4);
    expect(fleet.count("get")).toBe(0);
  });

  it("are polled individually if their list has no end", async () => {
    const fleet = await createFleet({
      count: 30,
      doneAtMs: () => 3000,
      pageCap: 10,
      // The fleet's response is ignored: every page is the first one.
      onList: (request) => Object.assign(request, { pageToken: "" }),
    });
    const { updates, end } = collect(fleet.handles);
    await fleet.clock.advance(60_000);
    await end;
    expect(updates).toHaveLength(60);
    expect(fleet.count("list")).toBe(2);
  });

  it("are polled for results that their list leaves out", async () => {
    const fleet = await createFleet({
      doneAtMs: () => 500,
      listed: ({ name, done }) => anOperation({ name, done }),
    });
    const { updates, end } = collect(fleet.handles);
    await fleet.clock.advance(1000);
    await end;
    expect(updates.map(briefly).slice(3)).toEqual(["0 succeeded", "1 succeeded", "2 succeeded"]);
    expect(fleet.requests.map(({ method }) => method)).toEqual(["list", "get", "get", "get"]);
  });
});

describe("the filter of watchAll", () => {
  it("is in every list request; operations that it hides are polled individually", async () => {
    const fleet = await createFleet({
      count: 40,
      pageCap: 20,
      doneAtMs: (at) => (at === 7 ? 500 : 2000),
      listed: (operation) => (operation.done ? undefined : operation),
    });
    const { updates, end } = collect(fleet.handles, { filter: filter`done = ${false}` });
    await fleet.clock.advance(60_000);
    await end;
    expect(updates).toHaveLength(80);
    expect(new Set(fleet.filters)).toEqual(new Set(["done = false"]));
    expect(fleet.count("get")).toBe(40);
  });

  it("is an error of the operations if the server refuses it three times", async () => {
    const fleet = await createFleet({
      onList: () => {
        throw fault(Code.InvalidArgument, "no such field");
      },
    });
    const { updates, end } = collect(fleet.handles, { filter: "colour = 1" });
    await fleet.clock.advance(2500);
    expect(updates).toHaveLength(3);
    await fleet.clock.advance(2250);
    await end;
    expect(updates.map(briefly).slice(3)).toEqual(["0 poll", "1 poll", "2 poll"]);
    expect(updates[3]?.error?.rawMessage).toContain("no such field");
    expect(fleet.count("get")).toBe(0);
  });
});

describe("faults while many are followed", () => {
  it("nine consecutive failed rounds are tolerated", async () => {
    const fleet = await createFleet({
      doneAtMs: () => 1000,
      onList: (_, atMs) => {
        if (atMs < 80_000) throw fault(Code.Unavailable);
      },
      onGet: (_, atMs) => {
        if (atMs < 80_000) throw fault(Code.Unavailable);
      },
    });
    const { updates, end } = collect(fleet.handles);
    await fleet.clock.advance(200_000);
    await end;
    expect(updates.map(briefly).slice(3)).toEqual(["0 succeeded", "1 succeeded", "2 succeeded"]);
  });

  it("ten end the following of each, whose handle is as good as ever", async () => {
    let isAway = true;
    const fleet = await createFleet({
      count: 2,
      doneAtMs: () => 1000,
      onList: () => {
        if (isAway) throw fault(Code.Unavailable, "away");
      },
      onGet: () => {
        if (isAway) throw fault(Code.Unavailable, "away");
      },
    });
    const { updates, end } = collect(fleet.handles);
    await fleet.clock.advance(10 * 60_000);
    await end;
    expect(updates.map(briefly).slice(2)).toEqual(["0 poll", "1 poll"]);
    expect(updates[2]?.error).toMatchObject({
      code: Code.Unavailable,
      consecutiveFailures: 10,
      polls: 10,
      cause: { rawMessage: "away" },
    });
    isAway = false;
    const again = fleet.handles[0]?.result();
    await fleet.clock.advance(1000);
    expect(await again).toMatchObject({ pages: 0 });
  });

  it("an error for good ends the following of its operation alone", async () => {
    const fleet = await createFleet({
      doneAtMs: () => 2000,
      listed: (operation, at) => (at === 2 ? undefined : operation),
      onGet: () => {
        throw fault(Code.PermissionDenied);
      },
    });
    const { updates, end } = collect(fleet.handles);
    await fleet.clock.advance(60_000);
    await end;
    expect(updates.map(briefly).slice(3)).toEqual(["2 poll", "0 succeeded", "1 succeeded"]);
  });

  it("a list that keeps failing is done without every fourth round", async () => {
    const fleet = await createFleet({
      doneAtMs: () => 30_000,
      onList: () => {
        throw fault(Code.DeadlineExceeded);
      },
    });
    const { updates, end } = collect(fleet.handles, { poll: { jitter: 0, multiplier: 1 } });
    await fleet.clock.advance(60_000);
    await end;
    expect(updates).toHaveLength(6);
    expect(fleet.requests.slice(0, 7).map(({ method, atMs }) => [method, atMs])).toEqual([
      ["list", 1000],
      ["list", 2000],
      ["list", 3000],
      ["get", 4000],
      ["get", 4000],
      ["get", 4000],
      ["list", 5000],
    ]);
  });

  it("a page that fails leaves what earlier pages showed", async () => {
    const fleet = await createFleet({
      count: 4,
      pageCap: 2,
      doneAtMs: () => 500,
      onList: ({ pageToken }, atMs) => {
        if (pageToken === "2" && atMs < 2000) throw fault(Code.Unavailable);
      },
    });
    const { updates, end } = collect(fleet.handles);
    await fleet.clock.advance(1000);
    expect(updates.map(briefly).slice(4)).toEqual(["0 succeeded", "1 succeeded"]);
    await fleet.clock.advance(1500);
    await end;
    expect(updates).toHaveLength(8);
  });

  it.each(["list", "get"] as const)("a hint holds for one delay, also by a %s", async (method) => {
    let isBusy = true;
    const answer = () => {
      if (!isBusy) return;
      isBusy = false;
      throw busyFor(7n);
    };
    const fleet = await createFleet({
      count: method === "list" ? 3 : 1,
      doneAtMs: () => 9000,
      onList: answer,
      onGet: answer,
    });
    const { end } = collect(fleet.handles);
    await fleet.clock.advance(60_000);
    await end;
    // 1000, then the hint, then the third delay of the schedule.
    expect(fleet.requests.map(({ atMs }) => atMs)).toEqual([1000, 8000, 10_250]);
  });

  it("a server that asks to be left alone is, and next those come who were left out", async () => {
    const perRound = 15;
    let left = perRound;
    const fleet = await createFleet({
      count: 40,
      onList: () => {
        throw fault(Code.Unimplemented);
      },
      onGet: () => {
        left -= 1;
        if (left < 0) throw busyFor(1n);
      },
    });
    const poll = { initialDelayMs: 500, multiplier: 1, jitter: 0 };
    const { updates, end } = collect(fleet.handles, { timeoutMs: 20_500, poll });
    for (let round = 0; round < 20; round += 1) {
      left = perRound;
      await fleet.clock.advance(1000);
    }
    // One wait is in the queue of each of the ten that are under way at once.
    expect(fleet.count("get")).toBeLessThanOrEqual(20 * (perRound + 10));
    const looks = new Map<string, number>();
    for (const { method, name } of fleet.requests) {
      if (method === "get") looks.set(name, (looks.get(name) ?? 0) + 1);
    }
    expect(looks.size).toBe(40);
    expect(Math.min(...looks.values())).toBeGreaterThanOrEqual(8);
    expect(updates.filter(({ error }) => error !== undefined)).toEqual([]);
    await fleet.clock.advance(1000);
    await rejectionOf(end);
  });

  it("a server that is away is not asked a thousand times to say so", async () => {
    const fleet = await createFleet({
      count: 200,
      onList: (_, atMs) => {
        throw fault(atMs > 0 ? Code.PermissionDenied : Code.Unknown);
      },
      onGet: () => {
        throw fault(Code.Unavailable);
      },
    });
    const { updates, end } = collect(fleet.handles);
    await fleet.clock.advance(10 * 60_000);
    await end;
    expect(fleet.count("get")).toBeLessThanOrEqual(10 * 20);
    expect(updates.filter(({ error }) => error?.kind === "poll")).toHaveLength(200);
  });

  it("a policy of the caller's own that throws ends the iteration", async () => {
    const fleet = await createFleet();
    const bug = () => {
      throw new Error("a bug");
    };
    const delays = collect(fleet.handles, { poll: { delayMs: bug, isTransient: () => true } });
    await expect(delays.end).rejects.toThrow("a bug");
    const failing = await createFleet({
      onList: () => {
        throw fault(Code.Unavailable);
      },
    });
    const kinds = collect(failing.handles, { poll: { delayMs: () => 10, isTransient: bug } });
    await failing.clock.advance(10);
    await expect(kinds.end).rejects.toThrow("a bug");
    expect(failing.clock.scheduled() + fleet.clock.scheduled()).toBe(0);
  });

  it("whatever happens, each operation comes to its end once, and nothing is left behind", async () => {
    const answers = [
      ...[Code.Unavailable, Code.Aborted, Code.DeadlineExceeded].map((code) => () => fault(code)),
      () => busyFor(3n),
      () => undefined,
      () => undefined,
      () => undefined,
    ];
    const anyAnswer = fc.constantFrom(...answers);
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(anyAnswer),
        fc.infiniteStream(fc.boolean()),
        fc.array(fc.nat(40_000), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 20 }),
        async (stream, hidden, ends, pageCap) => {
          const say = () => {
            const error = stream.next().value?.();
            if (error !== undefined) throw error;
          };
          const fleet = await createFleet({
            count: ends.length,
            pageCap,
            doneAtMs: (at) => ends[at] ?? 0,
            onList: say,
            onGet: say,
            listed: (operation) => (hidden.next().value ? undefined : operation),
            options: { maxConsecutiveFailures: 100 },
          });
          const { updates, end } = collect(fleet.handles);
          await fleet.clock.advance(3_600_000);
          await end;
          const finals = updates.filter(({ snapshot }) => snapshot?.kind === "succeeded");
          expect(new Set(finals.map(({ handle }) => handle)).size).toBe(ends.length);
          expect(finals).toHaveLength(ends.length);
          expect(updates.filter(({ error }) => error !== undefined)).toEqual([]);
          expect(fleet.clock.scheduled()).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe("limits of watchAll", () => {
  it("a last round follows the timeout", async () => {
    const fleet = await createFleet({ doneAtMs: (at) => (at === 0 ? 9000 : 60_000) });
    const { updates, end } = collect(fleet.handles, { timeoutMs: 10_000 });
    await fleet.clock.advance(10_000);
    const error = await operationErrorOf(end);
    expect(updates.map(briefly).slice(3)).toEqual(["0 succeeded"]);
    expect(error).toMatchObject({
      kind: "timeout",
      code: Code.DeadlineExceeded,
      operationName: nameOf(1),
      polls: 5,
      elapsedMs: 10_000,
      snapshot: { kind: "running" },
      resumeToken: { name: nameOf(1) },
    });
    expect(error.rawMessage).toBe(
      `operation "${nameOf(1)}" and 1 other are not done after 10000 ms`,
    );
    expect(fleet.requests.map(({ atMs }) => atMs)).toEqual([1000, 2500, 4750, 8125, 10_000]);
    expect(fleet.clock.scheduled()).toBe(0);
  });

  it("a last round that shows all final states is the end", async () => {
    const fleet = await createFleet({ doneAtMs: () => 1500 });
    const { updates, end } = collect(fleet.handles, { timeoutMs: 2000 });
    await fleet.clock.advance(2000);
    await end;
    expect(updates).toHaveLength(6);
  });

  it("a round without a response at the timeout is replaced by the last one", async () => {
    const fleet = await createFleet({ onList: () => new Promise(() => undefined) });
    const { end } = collect(fleet.handles, { timeoutMs: 2000 });
    await fleet.clock.advance(2000);
    expect(fleet.count("list")).toBe(2);
    await fleet.clock.advance(1000);
    expect(await operationErrorOf(end)).toMatchObject({ kind: "timeout", elapsedMs: 3000 });
    expect(fleet.clock.scheduled()).toBe(0);
  });

  it("an aborted signal costs no poll and yields nothing", async () => {
    const { handles, requests, clock } = await createFleet();
    const reason = new Error("page was closed");
    const { updates, end } = collect(handles, { signal: AbortSignal.abort(reason) });
    expect(await operationErrorOf(end)).toMatchObject({
      kind: "aborted",
      code: Code.Canceled,
      cause: reason,
      operationName: nameOf(0),
    });
    expect([updates, requests, clock.scheduled()]).toEqual([[], [], 0]);
  });

  it.each([
    ["a pause", 500, undefined],
    ["a list that hangs", 1500, () => new Promise(() => undefined)],
  ])("an abort in %s ends it at once, for good", async (_, abortAtMs, onList) => {
    const fleet = await createFleet({ doneAtMs: () => 5000, ...(onList && { onList }) });
    const controller = new AbortController();
    const { end } = collect(fleet.handles, { signal: controller.signal });
    await fleet.clock.advance(abortAtMs);
    const asked = fleet.requests.length;
    controller.abort();
    expect(await operationErrorOf(end)).toMatchObject({ kind: "aborted", elapsedMs: abortAtMs });
    expect(fleet.clock.scheduled()).toBe(0);
    await fleet.clock.advance(60_000);
    expect(fleet.requests).toHaveLength(asked);
    const result = fleet.handles[0]?.result();
    await fleet.clock.advance(1000);
    expect(await result).toMatchObject({ pages: 0 });
  });

  it("an abort after the last end does not take the final states away", async () => {
    const { handles } = await createFleet({ doneAtMs: () => 0 });
    const controller = new AbortController();
    const kinds: unknown[] = [];
    for await (const { snapshot } of watchAll(handles, { signal: controller.signal })) {
      controller.abort();
      kinds.push(snapshot?.kind);
    }
    expect(kinds).toEqual(["succeeded", "succeeded", "succeeded"]);
  });

  it("a break stops the polling, within a pause and within a request", async () => {
    const fleet = await createFleet({ doneAtMs: (at) => (at === 0 ? 500 : 60_000) });
    for await (const update of watchAll(fleet.handles)) {
      expect(briefly(update)).toBe("0 running");
      break;
    }
    expect(fleet.clock.scheduled()).toBe(0);
    const walk = (async () => {
      for await (const update of watchAll(fleet.handles)) {
        if (update.snapshot?.kind === "succeeded") break;
      }
    })();
    await fleet.clock.advance(1000);
    await walk;
    expect(fleet.clock.scheduled()).toBe(0);
    await fleet.clock.advance(60_000);
    expect(fleet.requests).toHaveLength(1);
  });

  it("leaving it while it waits for the next update ends it at once", async () => {
    const fleet = await createFleet({ count: 1 });
    const updates = watchAll(fleet.handles)[Symbol.asyncIterator]();
    await updates.next();
    const next = updates.next();
    await fleet.clock.advance(10);
    await updates.return?.();
    expect((await next).done).toBe(true);
    expect(fleet.clock.scheduled()).toBe(0);
  });

  it("refuses invalid options and foreign handles at the call", async () => {
    const { handles, clock } = await createFleet();
    expect(() => watchAll(handles, { timeoutMs: -1 })).toThrow(RangeError);
    expect(() => watchAll(handles, { poll: { jitter: 2 } })).toThrow("jitter");
    const copy = handles.map((handle) => ({ ...handle }));
    expect(() => watchAll(copy)).toThrow(
      `no client of this package made the handle of "${nameOf(0)}"`,
    );
    expect(clock.scheduled()).toBe(0);
  });

  it("an observer is called for each operation's wait", async () => {
    const ends: (WaitEnd & { name: string })[] = [];
    let polled = 0;
    const fleet = await createFleet({
      doneAtMs: (at) => (at === 2 ? 60_000 : 2000),
      options: {
        observer: {
          waitStarted: ({ operationName: name }) => ({
            polled: () => {
              polled += 1;
            },
            ended: (end) => ends.push({ name, ...end }),
          }),
        },
      },
    });
    const { end } = collect(fleet.handles, { timeoutMs: 4000 });
    await fleet.clock.advance(4000);
    await operationErrorOf(end);
    expect(polled).toBe(2 + 2 + 3);
    expect(ends).toMatchObject([
      { name: nameOf(0), done: true, polls: 2, pausedMs: 2500, overshootMs: 1500 },
      { name: nameOf(1), done: true, error: undefined, elapsedMs: 2500 },
      { name: nameOf(2), done: false, polls: 3, pausedMs: 4000, overshootMs: 0 },
    ]);
    expect(ends[2]?.error).toMatchObject({ kind: "timeout" });
  });
});
