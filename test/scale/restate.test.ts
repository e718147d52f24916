import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import {
  createRestateDispatcher,
  type RestateDispatcherOptions,
} from "connect-longrunning/dispatcher/restate";
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import type { Delivery, Settlement } from "../../src/store/index.js";
import { createInProcessSignals, createMemoryStore } from "../../src/store/index.js";
import { connectPostgres } from "../../src/store/postgres/index.js";
import { dispatcherContract } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";
import { createTestDatabase } from "../support/postgres/test-database.js";
import { Print, type PrintWork } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { type RestateServer, startRestate, whyNoRestate } from "./restate-server.js";

const settled: Settlement = { kind: "settled" };
const reasonOf = (error: ConnectError) => standardDetailsOf(error).errorInfo?.reason;

if (whyNoRestate !== undefined) console.log(`the tests with Restate do not run: ${whyNoRestate}`);

it.skipIf(whyNoRestate?.includes("Node.js") !== true)(
  "scale 31: names the version of Node.js that the SDK needs",
  async () => {
    const error = await rejectionOf(
      createRestateDispatcher({ ingressUrl: "http://127.0.0.1:1", listen: {} }),
    );
    assert.equal(reasonOf(error), "NODE_TOO_OLD");
    assert.match(error.message, /Node\.js 22/);
  },
);

describe.skipIf(whyNoRestate !== undefined)("a dispatcher by Restate", () => {
  let restate: RestateServer;
  beforeAll(async () => {
    restate = await startRestate();
  }, 60_000);
  afterAll(() => restate?.stop());

  let services = 0;
  async function createDispatcher(options: Partial<RestateDispatcherOptions> = {}) {
    services += 1;
    const { ingressUrl, adminUrl } = restate;
    const dispatcher = await createRestateDispatcher({
      ...{ ingressUrl, adminUrl, service: `service${services}`, listen: { port: 0 } },
      ...options,
    });
    onTestFinished(() => dispatcher.stop());
    return dispatcher;
  }

  function createServer(dispatcher: Awaited<ReturnType<typeof createDispatcher>>, work: PrintWork) {
    const store = createMemoryStore();
    const operations = createOperations({
      store,
      signals: createInProcessSignals(),
      dispatcher,
      log: () => undefined,
    });
    operations.handle(Print, work);
    const rpc = createClient(
      Operations,
      createRouterTransport((router) => router.service(Operations, operations.service)),
    );
    onTestFinished(() => operations.shutdown({ graceMs: 100 }));
    return { store, operations, rpc };
  }

  for (const { title, run } of dispatcherContract) {
    it(`scale 1: ${title}`, async () => run(await createDispatcher()), 60_000);
  }

  it("scale 5: dispatching one attempt twice delivers it once", async () => {
    const dispatcher = await createDispatcher();
    const seen: string[] = [];
    const last = createDeferred<void>();
    dispatcher.serve("a.B/C", async ({ name }) => {
      seen.push(name);
      if (name === "operations/last") last.resolve();
      return settled;
    });
    const operation = { name: "operations/one", method: "a.B/C", attempt: 0 };
    await Promise.all([dispatcher.dispatch([operation]), dispatcher.dispatch([operation])]);
    await sleep(200);
    await dispatcher.dispatch([operation]);
    await dispatcher.dispatch([{ name: "operations/last", method: "a.B/C", attempt: 0 }]);
    await last.promise;
    assert.deepEqual(seen, ["operations/one", "operations/last"]);
  });

  it("scale 6: dispatches again what a process did not send after its commit", async () => {
    const dispatcher = await createDispatcher({ redispatchMs: 200 });
    let losesNext = true;
    const lossy = {
      ...dispatcher,
      async dispatch(...given: Parameters<typeof dispatcher.dispatch>) {
        if (losesNext) losesNext = false;
        else await dispatcher.dispatch(...given);
      },
    };
    let runs = 0;
    const { operations, rpc } = createServer(lossy, async () => {
      runs += 1;
      return { pages: 7 };
    });
    const { name } = await operations.start(Print, { pages: 7 });
    const { done } = await rpc.waitOperation({ name, timeout: { seconds: 20n } });
    assert.equal(done, true);
    await sleep(500);
    assert.equal(runs, 1);
  }, 30_000);

  it("scale 7: a transaction without afterCommit is refused", async () => {
    const dispatcher = await createDispatcher();
    const transaction = { executeSql: async () => ({ rows: [] }) };
    const operation = { name: "operations/a", method: "a.B/C" };
    const error = await rejectionOf(dispatcher.dispatch([operation], { transaction }));
    assert.deepEqual(
      [error.code, reasonOf(error)],
      [Code.FailedPrecondition, "TRANSACTION_UNSUPPORTED"],
    );
  });

  it("scale 10, 14: cancels a queued operation at once, and its later delivery runs no work", async () => {
    const dispatcher = await createDispatcher();
    const settlements = createDeferred<[string, Settlement]>();
    const watched = {
      ...dispatcher,
      serve: (...[method, run, options]: Parameters<typeof dispatcher.serve>) =>
        dispatcher.serve(
          method,
          async (delivery) => {
            const settlement = await run(delivery);
            settlements.resolve([delivery.name, settlement]);
            return settlement;
          },
          options,
        ),
    };
    const store = createMemoryStore();
    const signals = createInProcessSignals();
    const create = () =>
      createOperations({ store, signals, dispatcher: watched, log: () => undefined });
    // No process serves the method yet.
    const api = create();
    const rpc = createClient(
      Operations,
      createRouterTransport((router) => router.service(Operations, api.service)),
    );
    const { name } = await api.start(Print, {});
    await rpc.cancelOperation({ name });
    const { result } = await rpc.getOperation({ name });
    assert.equal(result.case === "error" && result.value.code, Code.Canceled);
    const ran: string[] = [];
    const worker = create();
    worker.handle(Print, async (operation) => {
      ran.push(operation.name);
      return { pages: 1 };
    });
    onTestFinished(async () => {
      await worker.shutdown({ graceMs: 100 });
      await api.shutdown({ graceMs: 100 });
    });
    assert.deepEqual(await settlements.promise, [name, { kind: "settled" }]);
    assert.deepEqual(ran, []);
  }, 30_000);

  it("scale 11, 12: the signal of running work aborts within a second, and its response counts", async () => {
    const dispatcher = await createDispatcher();
    const begun = createDeferred<void>();
    const aborted = createDeferred<number>();
    const { operations, rpc } = createServer(dispatcher, async ({ signal }) => {
      begun.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted.resolve(performance.now());
      return { pages: 3 };
    });
    const { name } = await operations.start(Print, { pages: 3 });
    await begun.promise;
    const cancelledMs = performance.now();
    await rpc.cancelOperation({ name });
    assert.ok((await aborted.promise) - cancelledMs < 1000);
    const operation = await rpc.waitOperation({ name, timeout: { seconds: 20n } });
    assert.equal(operation.result.case, "response");
  }, 30_000);

  it("scale 17: does not continue before its delay is over, also over a restart of the engine", async () => {
    const dispatcher = await createDispatcher();
    const times: number[] = [];
    const second = createDeferred<void>();
    dispatcher.serve("a.B/C", async () => {
      times.push(performance.now());
      if (times.length > 1) {
        second.resolve();
        return settled;
      }
      return { kind: "retry", delayMs: 3000 };
    });
    await dispatcher.dispatch([{ name: "operations/later", method: "a.B/C" }]);
    while (times.length === 0) await sleep(10);
    await sleep(300);
    await restate.kill();
    await restate.start();
    await second.promise;
    const [first = 0, next = 0] = times;
    assert.ok(next - first >= 2900, `after ${next - first} ms`);
  }, 60_000);

  it("scale 8, 9, 16: without the engine starts fail, reads work, and healthy work goes on", async () => {
    const dispatcher = await createDispatcher({ rejoinMs: 30_000 });
    const go = createDeferred<void>();
    const begun = createDeferred<void>();
    const attempts: number[] = [];
    const { store, operations, rpc } = createServer(dispatcher, async ({ attempt }) => {
      attempts.push(attempt);
      begun.resolve();
      await go.promise;
      return { pages: attempt };
    });
    const { name } = await operations.start(Print, {});
    await begun.promise;
    await restate.kill();
    const error = await rejectionOf(operations.start(Print, { parent: "shelves/away" }));
    assert.equal(error.code, Code.Unavailable);
    const { records } = await store.unfinished({ after: undefined, limit: 10 });
    assert.deepEqual(
      records.map((record) => record.name),
      [name],
    );
    assert.equal((await rpc.getOperation({ name })).done, false);
    assert.equal((await rpc.listOperations({ name: "" })).operations.length, 1);
    await restate.start();
    await sleep(2000);
    go.resolve();
    const operation = await rpc.waitOperation({ name, timeout: { seconds: 30n } });
    assert.equal(operation.result.case, "response");
    assert.deepEqual(attempts, [1]);
  }, 90_000);

  it("scale 15: without a connection for rejoinMs the signal of a delivery aborts with LEASE_LOST", async () => {
    const dispatcher = await createDispatcher({ rejoinMs: 300 });
    const delivered = createDeferred<Delivery>();
    const go = createDeferred<void>();
    dispatcher.serve("a.B/C", async (delivery) => {
      delivered.resolve(delivery);
      await go.promise;
      return settled;
    });
    await dispatcher.dispatch([{ name: "operations/lost", method: "a.B/C" }]);
    const { signal } = await delivered.promise;
    assert.ok(signal !== undefined);
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    await restate.kill();
    await aborted;
    assert.equal(reasonOf(signal.reason), "LEASE_LOST");
    go.resolve();
    await restate.start();
  }, 60_000);

  it("scale 19: maxConcurrent holds in this process", async () => {
    const dispatcher = await createDispatcher({ maxConcurrent: 2 });
    let running = 0;
    let most = 0;
    let ended = 0;
    const all = createDeferred<void>();
    dispatcher.serve("a.B/C", async () => {
      running += 1;
      most = Math.max(most, running);
      await sleep(50);
      running -= 1;
      ended += 1;
      if (ended === 8) all.resolve();
      return settled;
    });
    const operations = Array.from({ length: 8 }, (_, at) => ({
      name: `operations/c${at}`,
      method: "a.B/C",
    }));
    await dispatcher.dispatch(operations);
    await all.promise;
    assert.equal(most, 2);
  }, 30_000);

  it("scale 20: a delivery waits until a process serves its method", async () => {
    const dispatcher = await createDispatcher();
    await dispatcher.dispatch([{ name: "operations/early", method: "a.B/Late" }]);
    await sleep(1000);
    const delivered = createDeferred<string>();
    dispatcher.serve("a.B/Late", async ({ name }) => {
      delivered.resolve(name);
      return settled;
    });
    assert.equal(await delivered.promise, "operations/early");
  }, 30_000);

  it("scale 21: an error of work with an odd code ends its operation, and the next one is delivered", async () => {
    const dispatcher = await createDispatcher();
    const { operations, rpc } = createServer(dispatcher, async ({ request }) => {
      if (request.pages > 1) throw new ConnectError("odd", 65_536 as Code);
      return { pages: 1 };
    });
    const odd = await operations.start(Print, { parent: "shelves/1", pages: 2 });
    const failed = await rpc.waitOperation({ name: odd.name, timeout: { seconds: 20n } });
    assert.equal(failed.result.case, "error");
    const next = await operations.start(Print, { parent: "shelves/2", pages: 1 });
    const { result } = await rpc.waitOperation({ name: next.name, timeout: { seconds: 20n } });
    assert.equal(result.case, "response");
  }, 30_000);

  it("scale 22: a delivery has the name, the method and the tenant, and no payload", async () => {
    const bodies: string[] = [];
    const proxy = createHttpServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += String(chunk);
      bodies.push(body);
      const { "idempotency-key": key = "" } = request.headers;
      const headers = { "content-type": "application/json", "idempotency-key": String(key) };
      const url = `${restate.ingressUrl}${request.url}`;
      const answer = await fetch(url, { method: "POST", headers, body });
      response.writeHead(answer.status).end(await answer.text());
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    onTestFinished(() => void proxy.close());
    const address = proxy.address();
    assert.ok(typeof address === "object" && address !== null);
    const dispatcher = await createDispatcher({ ingressUrl: `http://127.0.0.1:${address.port}` });
    const { operations, rpc } = createServer(dispatcher, async () => ({ pages: 1 }));
    const parent = "shelves/large";
    const { name } = await operations.start(Print, { parent, pages: 12_345 });
    assert.equal((await rpc.waitOperation({ name, timeout: { seconds: 20n } })).done, true);
    assert.deepEqual(
      bodies.map((body) => JSON.parse(body)),
      [{ name, method: "printing.v1.PrintService/Print", tenant: parent }],
    );
  }, 30_000);

  it("scale 23: work beyond the engine's timeouts of inactivity runs once, to its end", async () => {
    const dispatcher = await createDispatcher();
    let runs = 0;
    const ended = createDeferred<boolean>();
    dispatcher.serve("a.B/C", async ({ signal }) => {
      runs += 1;
      await sleep(5000);
      ended.resolve(signal?.aborted === true);
      return settled;
    });
    await dispatcher.dispatch([{ name: "operations/long", method: "a.B/C" }]);
    assert.equal(await ended.promise, false);
    assert.equal(runs, 1);
  }, 30_000);

  it("scale 28: listens on the loopback interface unless told otherwise", async () => {
    const dispatcher = await createDispatcher();
    assert.match(dispatcher.endpointUrl ?? "", /^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it("scale 27: refuses deliveries that identityKeys did not sign", async () => {
    const key = "publickeyv1_2G8dCQhArfvGpzPw5Vx2ALciR4xCLHfS5YaT93XjNxX9";
    const error = await rejectionOf(createDispatcher({ identityKeys: [key] }));
    // The registration reads the endpoint without a signature, and is refused.
    assert.equal(reasonOf(error), "RESTATE_NOT_REGISTERED");
  });

  it("runs each of 30 operations of a PostgreSQL store once, over a kill of the engine", async () => {
    const database = await createTestDatabase();
    const parts = await connectPostgres({ connectionString: database.url, pollIntervalMs: 500 });
    const dispatcher = await createDispatcher({ rejoinMs: 30_000, redispatchMs: 500 });
    const { store, signals } = parts;
    const operations = createOperations({
      ...{ store, signals, dispatcher, pageTokenKey: new Uint8Array(32).fill(7) },
      log: () => undefined,
    });
    onTestFinished(async () => {
      await operations.shutdown({ graceMs: 100 });
      await parts.dispatcher.stop();
    }, 30_000);
    const runs = new Map<string, number>();
    operations.handle(Print, async ({ name, attempt }) => {
      runs.set(name, (runs.get(name) ?? 0) + 1);
      await sleep(300);
      return { pages: attempt };
    });
    const rpc = createClient(
      Operations,
      createRouterTransport((router) => router.service(Operations, operations.service)),
    );
    const names: string[] = [];
    for (let count = 0; count < 30; count += 1) {
      if (count === 15) {
        await restate.kill();
        void restate.start();
      }
      // With the store's transactions, a start succeeds while the engine is away.
      names.push((await operations.start(Print, { parent: `shelves/${count}` })).name);
    }
    for (const name of names) {
      let operation = await rpc.waitOperation({ name, timeout: { seconds: 20n } });
      if (!operation.done) operation = await rpc.waitOperation({ name, timeout: { seconds: 20n } });
      assert.equal(operation.result.case, "response", name);
    }
    assert.deepEqual(
      names.map((name) => runs.get(name)),
      names.map(() => 1),
    );
  }, 120_000);
});
