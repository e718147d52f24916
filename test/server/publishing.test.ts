import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import { errorFromStatus, standardDetailsOf } from "../../src/status/index.js";
import {
  createInProcessDispatcher,
  createInProcessSignals,
  createMemoryStore,
  type Dispatcher,
  type OperationStore,
  type Signals,
  type StoreOptions,
  type Transaction,
} from "../../src/store/index.js";
import { createManualClock, type ManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";
import {
  createPrintServer,
  Print,
  type PrintServer,
  type PrintServerOptions,
  type PrintWork,
} from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const never = () => new Promise<never>(() => undefined);
const away = () => Promise.reject(new ConnectError("away", Code.Unavailable));

/** A client's write to an externally driven operation, and the signal that it publishes. */
const writes: readonly [
  what: string,
  kind: string,
  write: (server: PrintServer, name: string) => Promise<unknown>,
][] = [
  ["delete", "deleted", ({ rpc }, name) => rpc.deleteOperation({ name })],
  ["cancel", "cancel-requested", ({ rpc }, name) => rpc.cancelOperation({ name })],
  ["succeed", "done", ({ operations }, name) => operations.succeed(Print, name, { pages: 1 })],
  ["fail", "done", ({ operations }, name) => operations.fail(name, new ConnectError("x"))],
];

describe("a signal that cannot be published after the write", () => {
  const deaf = (): Signals => ({ ...createInProcessSignals(), publish: away });

  it.each(writes)("does not fail a %s, and is logged", async (_, __, write) => {
    const server = createPrintServer(never, { signals: deaf() });
    const { name } = await server.operations.create(Print, {});
    await write(server, name);
    expect(server.events).toMatchObject([{ kind: "store-failed", action: `publish ${name}` }]);
  });

  it("leaves the write in force", async () => {
    const server = createPrintServer(never, { signals: deaf() });
    const { client, operations } = server;
    const [deleted, cancelled, done] = [
      await operations.create(Print, {}),
      await operations.create(Print, {}),
      await operations.create(Print, {}),
    ];
    await client.delete(deleted.name);
    await client.cancel(cancelled.name);
    await operations.succeed(Print, done.name, {});
    expect((await rejectionOf(client.get(deleted.name))).code).toBe(Code.NotFound);
    expect(await operations.report(Print, cancelled.name, {})).toEqual({ cancelRequested: true });
    expect((await client.get(done.name)).result.case).toBe("response");
  });

  it("neither fails the operation whose end it publishes, nor runs it again", async () => {
    let runs = 0;
    const { operations, client, clock, events } = createPrintServer(
      () => {
        runs += 1;
        return { pages: 1 };
      },
      { signals: deaf() },
    );
    const { name } = await operations.start(Print, {});
    await clock.advance(60_000);
    expect((await client.get(name)).result.case).toBe("response");
    expect(runs).toBe(1);
    expect(events).toMatchObject([{ kind: "store-failed", action: `publish ${name}` }]);
  });
});

describe("a write that finds nothing", () => {
  it("is not published", async () => {
    const published: string[] = [];
    const { client } = createPrintServer(never, {
      signals: {
        ...createInProcessSignals(),
        async publish(name) {
          published.push(name);
        },
      },
    });
    for (const call of [client.cancel("operations/x"), client.delete("operations/x")]) {
      expect((await rejectionOf(call)).code).toBe(Code.NotFound);
    }
    expect(published).toEqual([]);
  });
});

/** A transaction of no database, which the test commits. */
function createTransaction() {
  const callbacks: (() => void)[] = [];
  const transaction: Transaction = {
    executeSql: async () => ({ rows: [] }),
    afterCommit: (callback) => callbacks.push(callback),
  };
  return {
    transaction,
    commit() {
      for (const callback of callbacks) callback();
    },
  };
}

/**
 * A server over a store with transactions (as far as this test sees: nothing is undone), and
 * the order of its calls.
 */
function createTransactionalServer(
  init: PrintServerOptions & { commit?: () => void; work?: PrintWork } = {},
) {
  const order: string[] = [];
  const note = (what: string, options: StoreOptions | undefined) => {
    order.push(options?.transaction === undefined ? `${what} outside` : what);
  };
  const { commit: onCommit, work, clock = createManualClock(), ...rest } = init;
  const inner = createMemoryStore({ clock });
  const store: OperationStore = {
    ...inner,
    async transaction(inside) {
      const { transaction, commit } = createTransaction();
      order.push("begin");
      try {
        const result = await inside(transaction);
        onCommit?.();
        order.push("commit");
        commit();
        return result;
      } catch (cause) {
        order.push("roll back");
        throw cause;
      }
    },
    insert(operation, options) {
      note("insert", options);
      return inner.insert(operation);
    },
    finish(claim, result, report, options) {
      note("finish", options);
      return inner.finish(claim, result, report);
    },
    release(claim, handover, whenCancelled, options) {
      note("release", options);
      return inner.release(claim, handover, whenCancelled);
    },
    requestCancel(name, whenQueued, options) {
      note("requestCancel", options);
      return inner.requestCancel(name, whenQueued);
    },
    hide(name, options) {
      note("hide", options);
      return inner.hide(name);
    },
    unblock(resourceKey, options) {
      note("unblock", options);
      return inner.unblock(resourceKey);
    },
  };
  const queue = createInProcessDispatcher({ clock });
  const dispatcher: Dispatcher = {
    ...queue,
    dispatch(operations, options) {
      note("dispatch", options);
      return queue.dispatch(operations, options);
    },
  };
  const inProcess = createInProcessSignals();
  const signals: Signals = {
    ...inProcess,
    publish(name, kind, options) {
      note(`publish ${kind}`, options);
      return inProcess.publish(name, kind, options);
    },
  };
  const run = () => {
    order.push("run");
    return { pages: 1 };
  };
  const server = createPrintServer(work ?? run, { store, dispatcher, signals, clock, ...rest });
  /** Note what the subscribers of an operation hear. */
  const listen = (name: string) => signals.subscribe(name, (kind) => order.push(`hear ${kind}`));
  return { ...server, order, listen };
}

describe("over a store with transactions", () => {
  const resource = "printers/1";

  it("puts an operation in the store and in the queue in one, and runs it after the commit", async () => {
    const { operations, order, clock } = createTransactionalServer();
    await operations.start(Print, {});
    await clock.advance(0);
    expect(order).toEqual([
      ...["begin", "insert", "dispatch", "commit", "run"],
      ...["finish outside", "publish done outside"],
    ]);
  });

  it("reports a start once, whose group failed and which was then inserted alone", async () => {
    const clock = createManualClock();
    const inner = createMemoryStore({ clock });
    const { transaction, commit } = createTransaction();
    const started: string[] = [];
    const { operations, events } = createPrintServer(() => ({ pages: 1 }), {
      clock,
      store: {
        ...inner,
        async insertTogether(operation, together) {
          const outcome = await inner.insert(operation);
          if (outcome.kind !== "inserted") return outcome;
          // The first one is rolled back.
          await together([outcome.record], createTransaction().transaction);
          await together([outcome.record], transaction);
          commit();
          return outcome;
        },
      },
      observer: { started: ({ name }) => started.push(name) },
    });
    const { name } = await operations.start(Print, {});
    await clock.advance(0);
    expect((await inner.get(name))?.state).toBe("done");
    expect({ started, events }).toEqual({ started: [name], events: [] });
  });

  it("ends an operation and frees its resource in one", async () => {
    const { operations, order, clock } = createTransactionalServer();
    await operations.start(Print, {}, { resource });
    await clock.advance(0);
    expect(order.slice(5)).toEqual(["begin", "finish", "publish done", "unblock", "commit"]);
  });

  it("runs nothing when the commit fails", async () => {
    const { operations, order, clock } = createTransactionalServer({
      commit() {
        throw new ConnectError("serialization failure", Code.Aborted);
      },
    });
    expect((await rejectionOf(operations.start(Print, {}))).code).toBe(Code.Aborted);
    await clock.advance(59_999);
    expect(order).toEqual(["begin", "insert", "dispatch", "roll back"]);
  });

  it("undoes the start whose dispatch fails, and has no need to end it", async () => {
    const { operations, order, clock } = createTransactionalServer({
      dispatcher: { ...createInProcessDispatcher(), dispatch: away },
    });
    expect((await rejectionOf(operations.start(Print, {}))).code).toBe(Code.Unavailable);
    await clock.advance(59_999);
    expect(order).toEqual(["begin", "insert", "roll back"]);
  });

  it("takes part in the caller's transaction, opens none, and runs the work once that commits", async () => {
    const { operations, order, clock } = createTransactionalServer();
    const { transaction, commit } = createTransaction();
    await operations.start(Print, {}, { transaction });
    await clock.advance(59_999);
    expect(order).toEqual(["insert", "dispatch"]);
    commit();
    await clock.advance(0);
    expect(order.slice(2)).toEqual(["run", "finish outside", "publish done outside"]);
  });

  const storeCalls = new Map([
    ["delete", "hide"],
    ["cancel", "requestCancel"],
  ]);

  it.each(writes)(
    "publishes a %s in its transaction, and is received after the commit",
    async (what, kind, write) => {
      const server = createTransactionalServer();
      const { name } = await server.operations.create(Print, {}, { resource });
      await server.listen(name);
      server.order.length = 0;
      await write(server, name);
      const call = storeCalls.get(what) ?? "finish";
      const freed = what === "cancel" ? [] : ["unblock"];
      expect(server.order).toEqual([
        ...["begin", call, `publish ${kind}`, ...freed, "commit"],
        `hear ${kind}`,
      ]);
    },
  );

  it.each(writes)(
    "takes no transaction for a %s if it frees no resource, and publishes it after the write",
    async (what, kind, write) => {
      const server = createTransactionalServer();
      const { name } = await server.operations.create(Print, {});
      await server.listen(name);
      server.order.length = 0;
      await write(server, name);
      const call = storeCalls.get(what) ?? "finish";
      expect(server.order).toEqual([`${call} outside`, `publish ${kind} outside`, `hear ${kind}`]);
    },
  );

  it.each(writes)(
    "is silent about a %s whose commit fails, which fails the call",
    async (_, kind, write) => {
      let commits = 0;
      const server = createTransactionalServer({
        commit() {
          commits += 1;
          if (commits > 1) throw new ConnectError("serialization failure", Code.Aborted);
        },
      });
      const { name } = await server.operations.create(Print, {}, { resource });
      await server.listen(name);
      expect((await rejectionOf(write(server, name))).code).toBe(Code.Aborted);
      expect(server.order).not.toContain(`hear ${kind}`);
    },
  );

  it("publishes a handover after its write", async () => {
    const { operations, order, listen, clock } = createTransactionalServer({
      work: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
    });
    const { name } = await operations.start(Print, {});
    await clock.advance(0);
    await listen(name);
    order.length = 0;
    const stopped = operations.shutdown({ graceMs: 10 });
    await clock.advance(10);
    await stopped;
    expect(order).toEqual(["release outside", "publish missed outside", "hear missed"]);
  });
});

describe("what a driver throws", () => {
  const secret = new Error("pg: password of user longrunning rejected");
  const broken = () => Promise.reject(secret);

  /** A server that breaks as soon as it has an operation. */
  function createBrokenServer(init: PrintServerOptions = {}) {
    const clock: ManualClock = createManualClock();
    const store = createMemoryStore({ clock });
    const faults = { get: broken, list: broken, hide: broken, requestCancel: broken };
    return createPrintServer(never, { clock, store: { ...store, ...faults }, ...init });
  }

  function expectInternal(error: ConnectError, events: unknown, action: string) {
    expect(error.code).toBe(Code.Internal);
    expect(error.rawMessage).toBe("internal error");
    const details = standardDetailsOf(error);
    expect(details.errorInfo?.reason).toBe("INTERNAL");
    expect(JSON.stringify([error.details, details.errorInfo?.metadata])).not.toContain("password");
    expect(events).toEqual([{ kind: "store-failed", action, cause: secret }]);
  }

  const name = "operations/x";
  it.each<[string, (server: PrintServer) => Promise<unknown>]>([
    ["GetOperation", ({ rpc }) => rpc.getOperation({ name })],
    ["ListOperations", ({ rpc }) => rpc.listOperations({})],
    ["CancelOperation", ({ rpc }) => rpc.cancelOperation({ name })],
    ["DeleteOperation", ({ rpc }) => rpc.deleteOperation({ name })],
    ["WaitOperation", ({ rpc }) => rpc.waitOperation({ name })],
  ])(
    "server 31, 79: %s answers INTERNAL with an ErrorInfo and says nothing of it",
    async (action, call) => {
      const server = createBrokenServer();
      expectInternal(await rejectionOf(call(server)), server.events, action);
    },
  );

  it("server 79: is INTERNAL where the signals reject a subscription", async () => {
    const { operations, rpc, events } = createPrintServer(never, {
      signals: { ...createInProcessSignals(), subscribe: broken },
    });
    const { name } = await operations.create(Print, {});
    const error = await rejectionOf(rpc.waitOperation({ name }));
    expectInternal(error, events, "WaitOperation");
  });

  it("server 79: is INTERNAL where the dispatcher rejects a start", async () => {
    const { printer, events } = createPrintServer(never, {
      dispatcher: { ...createInProcessDispatcher(), dispatch: broken },
    });
    const error = await rejectionOf(printer.print({}));
    expectInternal(error, events, "printing.v1.PrintService/Print");
  });

  it("server 79: is INTERNAL where validate throws it", async () => {
    const { printer, events } = createPrintServer(never, { method: { validate: broken } });
    const error = await rejectionOf(printer.print({}));
    expectInternal(error, events, "printing.v1.PrintService/Print");
  });
});

describe("a dispatch that fails without a transaction", () => {
  it("ends the operation with UNAVAILABLE, NOT_DISPATCHED, because no process would ever run it", async () => {
    const { operations, rpc } = createPrintServer(never, {
      dispatcher: { ...createInProcessDispatcher(), dispatch: away },
    });
    expect((await rejectionOf(operations.start(Print, {}))).rawMessage).toBe("away");
    const [operation] = (await rpc.listOperations({})).operations;
    assert(operation?.result.case === "error");
    const error = errorFromStatus(operation.result.value);
    expect(error.code).toBe(Code.Unavailable);
    expect(standardDetailsOf(error).errorInfo?.reason).toBe("NOT_DISPATCHED");
  });

  it("wakes who waits for the operation, which its request id led to meanwhile", async () => {
    const reached = createDeferred();
    const dispatching = createDeferred();
    const { operations, client, clock } = createPrintServer(never, {
      dispatcher: {
        ...createInProcessDispatcher(),
        dispatch() {
          reached.resolve();
          return dispatching.promise;
        },
      },
    });
    const request = { requestId: crypto.randomUUID() };
    const refused = rejectionOf(operations.start(Print, request));
    await reached.promise;
    const { name } = await operations.start(Print, request);
    let isDone = false;
    const waiting = client.wait(name, 50_000).then(({ done }) => {
      isDone = done;
    });
    await clock.advance(0);
    dispatching.reject(new ConnectError("away", Code.Unavailable));
    await refused;
    await clock.advance(0);
    const wasDoneEarly = isDone;
    await clock.advance(50_000);
    await waiting;
    expect(wasDoneEarly).toBe(true);
  });
});

describe("expiry", () => {
  /** A server whose store notes how many records each sweep removed. */
  function createSweptServer(expire?: OperationStore["expire"]) {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const sweeps: number[] = [];
    const server = createPrintServer(never, {
      clock,
      retentionMs: 1000,
      store: {
        ...store,
        async expire(limit) {
          const removed = await (expire ?? store.expire)(limit);
          sweeps.push(removed);
          return removed;
        },
      },
    });
    return { ...server, sweeps };
  }

  it("removes all expired records page by page, a minute after a write, and every hour", async () => {
    const { operations, clock, sweeps } = createSweptServer();
    for (let count = 0; count < 2500; count += 1) {
      const { name } = await operations.create(Print, {});
      await operations.succeed(Print, name, {});
    }
    await clock.advance(59_999);
    expect(sweeps).toEqual([]);
    await clock.advance(1);
    // The event loop turns between two pages.
    for (let turns = 0; turns < 4; turns += 1) await clock.advance(0);
    expect(sweeps).toEqual([1000, 1000, 500]);
    await operations.create(Print, {});
    await operations.create(Print, {});
    await clock.advance(60_000);
    expect(sweeps).toEqual([1000, 1000, 500, 0]);
    await clock.advance(2 * 60 * 60_000);
    expect(sweeps).toEqual([1000, 1000, 500, 0, 0, 0]);
    await operations.shutdown();
    expect(clock.scheduled({ background: true })).toBe(0);
  });

  it("fails no start when it fails, and is logged", async () => {
    const { operations, clock, events } = createSweptServer(away);
    await operations.create(Print, {});
    await clock.advance(60_000);
    expect((await operations.create(Print, {})).done).toBe(false);
    expect(events).toMatchObject([{ kind: "store-failed", action: "expire" }]);
  });
});

describe("a request id", () => {
  it("server 90: is remembered for ten minutes although its operation is kept for less", async () => {
    let runs = 0;
    const { operations, clock } = createPrintServer(
      () => {
        runs += 1;
        return {};
      },
      { retentionMs: 0 },
    );
    const request = { requestId: crypto.randomUUID() };
    const { name } = await operations.start(Print, request);
    await clock.advance(10 * 60 * 1000 - 1);
    const error = await rejectionOf(operations.start(Print, request));
    expect(standardDetailsOf(error).errorInfo).toMatchObject({
      reason: "REQUEST_ID_SPENT",
      metadata: { name },
    });
    await clock.advance(1);
    expect((await operations.start(Print, request)).name).not.toBe(name);
    await clock.advance(0);
    expect(runs).toBe(2);
  });
});

describe("waiting", () => {
  it("server 69: counts the time that a slow subscription takes", async () => {
    const clock = createManualClock();
    const signals = createInProcessSignals();
    const { operations, rpc } = createPrintServer(never, {
      clock,
      signals: {
        ...signals,
        async subscribe(...args) {
          await new Promise<void>((resolve) => clock.schedule(4000, resolve));
          return signals.subscribe(...args);
        },
      },
    });
    const { name } = await operations.create(Print, {});
    let answered = false;
    const waiting = rpc.waitOperation({ name, timeout: { seconds: 5n } }).then(() => {
      answered = true;
    });
    await clock.advance(4999);
    expect(answered).toBe(false);
    await clock.advance(1);
    expect(answered).toBe(true);
    await waiting;
  });

  it("server 69: answers at its timeout although there is no subscription", async () => {
    const { operations, rpc, clock } = createPrintServer(never, {
      signals: { ...createInProcessSignals(), subscribe: never },
    });
    const { name } = await operations.create(Print, {});
    let isDone: boolean | undefined;
    const waiting = rpc.waitOperation({ name, timeout: { seconds: 5n } }).then(({ done }) => {
      isDone = done;
    });
    await clock.advance(5000);
    expect(isDone).toBe(false);
    await waiting;
    expect(clock.scheduled()).toBe(0);
  });

  it("server 73: reads once more when a subscription has come late, after another's timeout", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const signals = createInProcessSignals();
    const subscribing = createDeferred();
    const { operations, rpc } = createPrintServer(never, {
      clock,
      store,
      signals: {
        ...signals,
        async subscribe(...args) {
          await subscribing.promise;
          return signals.subscribe(...args);
        },
      },
    });
    const { name } = await operations.create(Print, {});
    const long = rpc.waitOperation({ name, timeout: { seconds: 50n } });
    const short = rpc.waitOperation({ name, timeout: { seconds: 1n } });
    await clock.advance(1000);
    expect((await short).done).toBe(false);
    await operations.succeed(Print, name, {});
    subscribing.resolve();
    await clock.advance(0);
    expect(clock.scheduled()).toBe(0);
    expect((await long).done).toBe(true);
  });
});
