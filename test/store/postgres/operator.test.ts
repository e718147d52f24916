import assert from "node:assert/strict";
import { createRouterTransport } from "@connectrpc/connect";
import { describe, it, onTestFinished, vi } from "vitest";
import { createLongRunningClient } from "../../../src/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import type { OperationsOperator } from "../../../src/store/index.js";
import { createDatabase } from "../../../src/store/postgres/database.js";
import {
  connectPostgres,
  createPostgresOperator,
  createPostgresStore,
} from "../../../src/store/postgres/index.js";
import { createWorkerRow } from "../../../src/store/postgres/worker-row.js";
import { createManualClock } from "../../../src/testing/index.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { anInsert } from "../../support/an-insert.js";
import { createDeferred } from "../../support/deferred.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print, type PrintWork } from "../../support/print-server.js";

const method = "printing.v1.PrintService/Print";

/** A replica whose work is this one, and an operator of its database. */
async function aReplica(url: string, work: PrintWork, options: { retry?: object } = {}) {
  const parts = await connectPostgres({ connectionString: url });
  const operations = createOperations({
    ...parts,
    pageTokenKey: new Uint8Array(32),
    log: () => undefined,
  });
  const transport = createRouterTransport((router) => {
    const print = operations.handle(Print, work, {
      resource: ({ pages }) => (pages === 7 ? "tray" : ""),
      ...options,
    });
    router.service(PrintService, { print });
    router.service(Operations, operations.service);
  });
  onTestFinished(() => operations.shutdown({ graceMs: 0 }));
  return { operations, printer: createLongRunningClient({ print: Print }, transport) };
}

/** Work that runs until its signal aborts, and its second attempt ends at once. */
function createHangingWork() {
  const began = createDeferred();
  const work: PrintWork = async ({ attempt, signal }) => {
    if (attempt > 1) return { pages: attempt };
    began.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    throw signal.reason;
  };
  return { began: began.promise, work };
}

async function inspected(operator: OperationsOperator, name: string) {
  const found = await operator.inspect(name);
  assert.ok(found !== undefined);
  return found;
}

describe("createPostgresOperator", () => {
  it("shows the owner of an operation and the time of its claim, and the operations of each process", async () => {
    const { url, pool } = await createTestDatabase();
    const { work, began } = createHangingWork();
    const { printer } = await aReplica(url, work);
    await aReplica(url, work);
    const { name } = await printer.print({ requestId: "0191e7a2-8f5c-7000-8000-000000000001" });
    await began;
    const operator = await createPostgresOperator({ pool });
    const operation = await inspected(operator, name);
    assert.match(operation.owner ?? "", new RegExp(`:${process.pid}:[0-9a-f]{8}$`));
    assert.deepEqual(
      [operation.state, operation.attempt, operation.requestId, operation.delivery?.state],
      ["running", 1, "0191e7a2-8f5c-7000-8000-000000000001", "running"],
    );
    assert.ok((operation.claimTimeMicros ?? 0) >= operation.createTimeMicros);
    assert.ok(operation.delivery?.renewTimeMicros !== null);
    const workers = await vi.waitFor(
      async () => {
        const found = await operator.workers();
        assert.equal(found.length, 2);
        return found;
      },
      { timeout: 5000, interval: 50 },
    );
    const running = workers.filter((each) => each.running.length > 0);
    assert.deepEqual(
      running.map(({ id, isSilent, processId, leaseMs }) => [id, isSilent, processId, leaseMs]),
      [[operation.owner, false, process.pid, 10_000]],
    );
    assert.deepEqual(running[0]?.running, [
      {
        ...{ name, method, attempt: 1, claimTimeMicros: operation.claimTimeMicros },
        renewTimeMicros: operation.delivery?.renewTimeMicros,
      },
    ]);
  });

  it("shows deleted operations, and no process that has shut down", async () => {
    const { url, pool } = await createTestDatabase();
    const { operations, printer } = await aReplica(url, () => ({ pages: 1 }));
    const handle = await printer.print({});
    await handle.result();
    const operator = await createPostgresOperator({ pool });
    await vi.waitFor(async () => assert.equal((await operator.workers()).length, 1));
    await createPostgresStore({ pool }).hide(handle.name);
    await operations.shutdown({ graceMs: 0 });
    const operation = await inspected(operator, handle.name);
    assert.notEqual(operation.deleteTimeMicros, null);
    assert.equal(operation.response?.typeUrl, "type.googleapis.com/printing.v1.PrintResponse");
    assert.deepEqual(await operator.workers(), []);
    assert.equal(await operator.inspect("operations/unknown"), undefined);
  });

  it("names what is missing in a database that is not migrated", async () => {
    const { pool } = await createTestDatabase();
    await assert.rejects(createPostgresOperator({ pool }), /is not migrated/);
  });
});

describe("requeue", () => {
  it("leaves an operation that a living process runs, and takes it away by force", async () => {
    const { url, pool } = await createTestDatabase();
    const { work, began } = createHangingWork();
    const { printer } = await aReplica(url, work);
    const handle = await printer.print({});
    await began;
    const operator = await createPostgresOperator({ pool });
    const { owner } = await inspected(operator, handle.name);
    const left = await operator.requeue(handle.name, false);
    assert.deepEqual([left.kind, left.kind === "running" && left.owner], ["running", owner]);
    assert.deepEqual(await operator.requeue(handle.name, true), { kind: "requeued" });
    assert.equal((await handle.result()).pages, 2);
    const { lostAttempts, losses } = await inspected(operator, handle.name);
    assert.deepEqual(
      lostAttempts.map(({ attempt, cause, ...rest }) => [attempt, rest.owner, cause]),
      [[1, owner, "requeued"]],
    );
    assert.equal(losses, 1);
  });

  it("queues an operation that the queue does not know, and one whose retry is not due", async () => {
    const { url, pool } = await createTestDatabase();
    const failed = createDeferred();
    const { printer } = await aReplica(
      url,
      ({ attempt }) => {
        if (attempt > 1) return { pages: attempt };
        failed.resolve();
        throw new Error("the tray is open");
      },
      { retry: { initialDelayMs: 3_600_000, maxDelayMs: 3_600_000, isRetryable: () => true } },
    );
    const operator = await createPostgresOperator({ pool });
    const handle = await printer.print({});
    await failed.promise;
    await vi.waitFor(async () =>
      assert.equal((await inspected(operator, handle.name)).delivery?.state, "delayed"),
    );
    assert.deepEqual(await operator.requeue(handle.name, false), { kind: "requeued" });
    assert.equal((await handle.result()).pages, 2);

    const store = createPostgresStore({ pool });
    await store.insert(anInsert({ name: "printers/a\\b/operations/gone", method }));
    const orphan = await inspected(operator, "printers/a\\b/operations/gone");
    assert.equal(orphan.delivery?.state, "none");
    assert.deepEqual(await operator.requeue(orphan.name, false), { kind: "requeued" });
    await vi.waitFor(async () =>
      assert.notEqual((await inspected(operator, orphan.name)).attempt, 0),
    );
  });

  it("queues a blocked operation whose resource is free, and names the one that uses it", async () => {
    const { url, pool } = await createTestDatabase();
    const { work, began } = createHangingWork();
    const { printer } = await aReplica(url, work);
    const [first, second] = [await printer.print({ pages: 7 }), await printer.print({ pages: 7 })];
    await began;
    const operator = await createPostgresOperator({ pool });
    assert.deepEqual(await operator.requeue(second.name, false), {
      kind: "blocked",
      by: first.name,
    });
    // An end that unblocked nothing, as a write by hand does.
    await pool.query("alter table longrunning.operations disable trigger user");
    await pool.query("delete from longrunning.operations where name = $1", [first.name]);
    await pool.query("alter table longrunning.operations enable trigger user");
    assert.deepEqual(await operator.requeue(second.name, false), { kind: "requeued" });
    await vi.waitFor(async () =>
      assert.notEqual((await inspected(operator, second.name)).attempt, 0),
    );
  });

  it("changes nothing that is done, external, queued, unknown or without a queue", async () => {
    const { url, pool } = await createTestDatabase();
    const { operations, printer } = await aReplica(url, () => ({ pages: 1 }));
    const done = await printer.print({});
    await done.result();
    const external = await operations.create(Print, {});
    await operations.shutdown({ graceMs: 0 });
    const starter = createOperations({
      ...(await connectPostgres({ connectionString: url })),
      log: () => undefined,
    });
    onTestFinished(() => starter.shutdown({ graceMs: 0 }));
    const queued = await starter.start(Print, {});
    await createPostgresStore({ pool }).insert(
      anInsert({ name: "operations/other", method: "a.B/C" }),
    );
    const operator = await createPostgresOperator({ pool });
    const outcomeOf = async (name: string) => (await operator.requeue(name, true)).kind;
    assert.deepEqual(
      [
        await outcomeOf(done.name),
        await outcomeOf(external.name),
        await outcomeOf(queued.name),
        await outcomeOf("operations/unknown"),
        await outcomeOf("operations/other"),
      ],
      ["done", "external", "already-queued", "not-found", "never-handled"],
    );
  });
});

describe("the causes of lost attempts", () => {
  /** A claimed operation whose owner has this row, and its loss to another owner. */
  async function aLoss(columns: string, note?: (row: ReturnType<typeof createWorkerRow>) => void) {
    const { url, pool } = await createTestDatabase();
    await (await aReplica(url, () => ({}))).operations.shutdown({ graceMs: 0 });
    await pool.query("delete from longrunning.workers");
    const database = createDatabase(pool);
    const identity = { id: "host:1:aaaaaaaa", host: "host", processId: 1 };
    const clock = createManualClock();
    const row = createWorkerRow({
      ...{ database, schema: "longrunning", identity, leaseMs: 10_000, clock },
    });
    await row.renew();
    await pool.query(`update longrunning.workers set ${columns}`);
    const first = createPostgresStore({ pool, worker: identity.id });
    const second = createPostgresStore({ pool, worker: "host:2:bbbbbbbb" });
    await first.insert(anInsert({ name: "operations/a" }));
    await first.claim("operations/a");
    note?.(row);
    await row.renewIfDue();
    await second.claim("operations/a");
    const operator = await createPostgresOperator({ pool });
    return { row, operator, second, pool, clock };
  }
  const causeOf = async (operator: OperationsOperator) =>
    (await inspected(operator, "operations/a")).lostAttempts.map(({ cause, detail }) => [
      cause,
      detail,
    ]);

  it.each([
    ["no-sign-of-life", "renew_time = renew_time - interval '9 seconds'"],
    ["lease-expired", "renew_time = renew_time - interval '2 seconds'"],
    ["shutdown", "stop_time = renew_time"],
    ["unknown", "id = 'host:9:cccccccc'"],
  ])("is %s by the row of the owner", async (cause, columns) => {
    const { operator } = await aLoss(columns);
    assert.deepEqual(await causeOf(operator), [[cause, ""]]);
  });

  it("is the owner's own note, written before the next claim or after it", async () => {
    const before = await aLoss("host = 'host'", (row) =>
      row.noteLosses(["operations/a"], "event-loop-stalled", "13.0 s"),
    );
    assert.deepEqual(await causeOf(before.operator), [["event-loop-stalled", "13.0 s"]]);

    const after = await aLoss("renew_time = renew_time - interval '9 seconds'");
    after.row.noteLosses(["operations/a"], "database-unreachable", "");
    await after.row.renewIfDue();
    assert.deepEqual(await causeOf(after.operator), [["database-unreachable", ""]]);
  });

  it("do not include silence of an idle process whose date was set back", async () => {
    const { row, pool, clock } = await aLoss("renew_time = renew_time - interval '1 hour'");
    const ageOf = async () => {
      const { rows } = await pool.query<{ age: number }>(
        "select extract(epoch from clock_timestamp() - renew_time)::float8 as age from longrunning.workers",
      );
      return rows[0]?.age ?? Number.NaN;
    };
    assert.ok((await ageOf()) >= 3600);
    clock.setDate(clock.nowMs() - 3_600_000);
    await clock.advance(30_000);
    await row.renewIfDue();
    assert.ok((await ageOf()) < 60);
  });

  it("is unknown for an attempt of a program that notes no owner", async () => {
    const { operator, pool, second } = await aLoss("host = 'host'");
    // The claim of the program before step 3 of the schema.
    await pool.query(
      `update longrunning.operations set state = 'running', attempt = attempt + 1,
        losses = losses + 1, update_time = clock_timestamp() where name = 'operations/a'`,
    );
    assert.equal((await inspected(operator, "operations/a")).owner, null);
    await second.claim("operations/a");
    const { lostAttempts, owner } = await inspected(operator, "operations/a");
    assert.equal(owner, "host:2:bbbbbbbb");
    assert.deepEqual(
      lostAttempts.map(({ attempt, owner: loser, cause }) => [attempt, loser, cause]),
      [
        [1, "host:1:aaaaaaaa", "lease-expired"],
        [2, "host:2:bbbbbbbb", "unknown"],
        [3, null, "unknown"],
      ],
    );
  });

  it("are kept for the last 20 losses", async () => {
    const { operator, second } = await aLoss("host = 'host'");
    for (let at = 0; at < 25; at += 1) await second.claim("operations/a");
    const { lostAttempts, losses } = await inspected(operator, "operations/a");
    assert.equal(losses, 26);
    assert.deepEqual(
      lostAttempts.map(({ attempt }) => attempt),
      Array.from({ length: 20 }, (_, at) => at + 7),
    );
  });
});
