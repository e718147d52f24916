import assert from "node:assert/strict";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { describe, it } from "vitest";
import { planBulk, runBulk } from "../../src/bulk/bulk-operations.js";
import { createOperationsClient } from "../../src/index.js";
import { Operations } from "../../src/protos.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const never = () => new Promise<never>(() => undefined);

/** A server with three running operations and a done one below each of two parents. */
async function createFullServer() {
  const server = createPrintServer(never);
  for (const parent of ["printers/1", "printers/2"]) {
    for (let at = 0; at < 3; at += 1) await server.operations.start(Print, {}, { parent });
    const { name } = await server.operations.create(Print, {}, { parent });
    await server.operations.succeed(Print, name, {});
  }
  await server.clock.advance(0);
  return server;
}

/** A client of a server that lists these operations whatever the filter is. */
function createIgnoringServer(operations: { name: string; done: boolean }[]) {
  const cancelled: string[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(Operations, {
      listOperations: () => ({ operations }),
      cancelOperation: ({ name }) => {
        cancelled.push(name);
        return {};
      },
    }),
  );
  return { client: createOperationsClient(transport), cancelled };
}

describe("planBulk", () => {
  it("counts the operations of one parent that match, and changes nothing", async () => {
    const { client, rpc } = await createFullServer();
    const plan = await planBulk(client, {
      action: "cancel",
      filter: "done = false",
      parent: "printers/1",
    });
    assert.equal(plan.names.length, 3);
    assert.ok(plan.names.every((name) => name.startsWith("printers/1/operations/")));
    assert.equal(plan.isComplete, true);
    const { operations } = await rpc.listOperations({ name: "printers/1", filter: "done = true" });
    assert.equal(operations.length, 1);
  });

  it("leaves done operations out of a cancellation", async () => {
    const { client } = await createFullServer();
    const request = { filter: 'create_time > "2020-01-01T00:00:00Z"', parent: "printers/1" };
    assert.equal((await planBulk(client, { ...request, action: "cancel" })).names.length, 3);
    assert.equal((await planBulk(client, { ...request, action: "delete" })).names.length, 4);
  });

  it("says that more match than it takes", async () => {
    const { client } = await createFullServer();
    const plan = await planBulk(client, {
      ...{ action: "cancel", filter: "done = false", parent: "printers/1", maxOperations: 2 },
    });
    assert.deepEqual([plan.names.length, plan.isComplete], [2, false]);
  });

  it.each([
    [
      "lists an operation that does not match",
      "done = false",
      [{ name: "operations/a", done: true }],
    ],
    ["does not match by a negation", "NOT done = true", [{ name: "operations/a", done: true }]],
    [
      "does not match by a conjunction",
      "done = false AND x = 1",
      [{ name: "operations/a", done: true }],
    ],
    [
      "may ignore a filter on other fields",
      "metadata.tenant = a",
      [{ name: "operations/a", done: false }],
    ],
  ])("refuses a server that ignores filters: it %s", async (_, filter, operations) => {
    const { client } = createIgnoringServer(operations);
    const error = await rejectionOf(planBulk(client, { action: "cancel", filter }));
    assert.equal(error.code, Code.FailedPrecondition);
    assert.match(error.rawMessage, /the server ignores the filter/);
  });

  it("takes the word of the operations themselves, if each one shows that it matches", async () => {
    const { client } = createIgnoringServer([{ name: "operations/a", done: false }]);
    const plan = await planBulk(client, { action: "cancel", filter: "done = false" });
    assert.deepEqual(plan.names, ["operations/a"]);
  });

  it("refuses an empty filter, and one that cannot be parsed", async () => {
    const { client } = await createFullServer();
    for (const filter of ["", " ", "done = (", "="]) {
      const error = await rejectionOf(planBulk(client, { action: "delete", filter }));
      assert.equal(error.code, Code.InvalidArgument);
    }
  });
});

describe("runBulk", () => {
  it("bounds each call, and reports the calls that had no answer", async () => {
    const transport = createRouterTransport(({ service }) =>
      service(Operations, { cancelOperation: never }),
    );
    const names = ["operations/a", "operations/b"];
    const plan = { action: "cancel", names, isComplete: true } as const;
    const report = await runBulk(createOperationsClient(transport), plan, { timeoutMs: 50 });
    assert.deepEqual([report.succeeded, report.failed, report.skipped], [0, 2, 0]);
    assert.deepEqual(
      report.failures.map(({ name, error }) => [name, error.code]),
      names.map((name) => [name, Code.DeadlineExceeded]),
    );
  });

  it("cancels the operations of the plan and no others", async () => {
    const { client, rpc, clock } = await createFullServer();
    const request = { action: "cancel", filter: "done = false", parent: "printers/1" } as const;
    const finished: number[] = [];
    const report = await runBulk(client, await planBulk(client, request), {
      onProgress: (count) => finished.push(count),
    });
    assert.deepEqual(report, { succeeded: 3, failed: 0, failures: [], skipped: 0 });
    assert.deepEqual(finished, [1, 2, 3]);
    await clock.advance(0);
    const { operations } = await rpc.listOperations({ name: "printers/2", filter: "done = false" });
    assert.equal(operations.length, 3);
  });

  it("reports the failures by name, and counts what is gone already as a success", async () => {
    const transport = createRouterTransport(({ service }) =>
      service(Operations, {
        deleteOperation: ({ name }) => {
          if (name === "operations/gone") throw new ConnectError("gone", Code.NotFound);
          if (name === "operations/b") throw new ConnectError("held", Code.FailedPrecondition);
          return {};
        },
      }),
    );
    const names = ["operations/a", "operations/b", "operations/gone"];
    const client = createOperationsClient(transport);
    const report = await runBulk(client, { action: "delete", names, isComplete: true });
    assert.deepEqual([report.succeeded, report.failed, report.skipped], [2, 1, 0]);
    assert.deepEqual(
      report.failures.map(({ name, error }) => [name, error.code]),
      [["operations/b", Code.FailedPrecondition]],
    );
  });

  it("stops when its signal aborts, and says how many it has not tried", async () => {
    const stop = new AbortController();
    const { client, cancelled } = createIgnoringServer([]);
    const names = Array.from({ length: 100 }, (_, at) => `operations/${at}`);
    const report = await runBulk(
      client,
      { action: "cancel", names, isComplete: true },
      { signal: stop.signal, onProgress: (finished) => finished === 10 && stop.abort() },
    );
    assert.equal(report.succeeded, cancelled.length);
    assert.ok(report.skipped >= 80 && report.skipped + report.succeeded === 100);
  });
});
