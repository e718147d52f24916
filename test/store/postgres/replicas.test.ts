import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { createLongRunningClient, OperationError } from "../../../src/index.js";
import { createPostgresOperator, migrate } from "../../../src/store/postgres/index.js";
import { type Replica, startReplica } from "../../support/postgres/replica.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";

/** How long it may take until another process has what a dead one ran. */
const takeoverMs = 12_000;

// One process that runs no work, through which all is started and waited for, and three
// that run one operation at a time each. The tests use them up, one after the other.
describe.sequential("replicas on one PostgreSQL", () => {
  let database: TestDatabase;
  let workers: Replica[] = [];
  const all: Replica[] = [];

  const start = async () => {
    const [api] = all;
    assert.ok(api !== undefined);
    const { baseUrl } = api;
    const transport = createConnectTransport({ baseUrl, httpVersion: "2" });
    return createLongRunningClient({ print: Print }, transport).print({ pages: 1 });
  };

  /** The first of these workers to claim the operation, and its checkpoint. */
  const claimed = (among: readonly Replica[], name: string) =>
    Promise.race(
      among.map(async (worker) => {
        const { attempt, checkpoint } = await worker.heard("claimed", name);
        return { worker, attempt, checkpoint };
      }),
    );

  const rowOf = async (name: string) => {
    const { rows } = await database.pool.query(
      "select state, attempt, handovers from longrunning.operations where name = $1",
      [name],
    );
    return rows[0];
  };

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrate(database.pool);
    const { url } = database;
    const started = await Promise.all([
      startReplica(url, "api"),
      startReplica(url, "worker"),
      startReplica(url, "worker"),
      startReplica(url, "worker"),
    ]);
    all.push(...started);
    workers = started.slice(1);
  }, 60_000);

  afterAll(async () => {
    await Promise.all(all.map((replica) => replica[Symbol.asyncDispose]()));
  });

  it("durability I5: a cancellation by one replica stops the work in another", async () => {
    const handle = await start();
    const { worker } = await claimed(workers, handle.name);
    await handle.cancel();
    assert.equal((await worker.heard("aborted", handle.name)).code, Code.Canceled);
    await assert.rejects(handle.result(), (error) => {
      assert.ok(error instanceof OperationError);
      assert.equal(error.code, Code.Canceled);
      return true;
    });
  });

  it("durability I2, I3: another goes on from the checkpoint of a killed replica and of a suspended one, and waiters on a third get the results", async () => {
    const [toKill, toPause] = [await start(), await start()];
    const { worker: killed } = await claimed(workers, toKill.name);
    const { worker: paused } = await claimed(workers, toPause.name);
    assert.notEqual(killed, paused);
    const results = Promise.all([toKill.result(), toPause.result()]);
    await killed.heard("checkpoint-saved", toKill.name);
    await paused.heard("checkpoint-saved", toPause.name);
    killed.kill("SIGKILL");
    paused.kill("SIGSTOP");
    const stoppedAtMs = performance.now();
    workers = workers.filter((worker) => worker !== killed);
    const standby = workers.filter((worker) => worker !== paused);

    const { attempt, checkpoint } = await claimed(standby, toKill.name);
    const tookMs = performance.now() - stoppedAtMs;
    assert.deepEqual({ attempt, checkpoint }, { attempt: 2, checkpoint: [1, 2, 3] });
    assert.ok(tookMs <= takeoverMs, `it took ${tookMs} ms`);
    assert.deepEqual((await claimed(standby, toPause.name)).checkpoint, [1, 2, 3]);
    const responses = await results;
    assert.deepEqual(
      responses.map(({ pages }) => pages),
      [2, 2],
    );

    paused.kill("SIGCONT");
    assert.equal((await paused.heard("aborted", toPause.name)).code, Code.Aborted);
    await paused.heard("attempt-lost", toPause.name);
    assert.deepEqual(await rowOf(toPause.name), { state: "done", attempt: 2, handovers: 0 });

    // The killed process left no cause, and the suspended one notes its own when it goes on.
    const operator = await createPostgresOperator({ pool: database.pool });
    const lossOf = async (name: string) => (await operator.inspect(name))?.lostAttempts[0];
    const killedLoss = await lossOf(toKill.name);
    assert.equal(killedLoss?.cause, "no-sign-of-life");
    assert.match(killedLoss.owner ?? "", new RegExp(`:${killed.processId}:[0-9a-f]{8}$`));
    const { lossTimeMicros, claimTimeMicros, seenTimeMicros } = killedLoss;
    assert.ok(seenTimeMicros !== null && claimTimeMicros !== null);
    assert.ok(lossTimeMicros - seenTimeMicros > 5_000_000, "it was seen before it was killed");
    assert.ok(lossTimeMicros > claimTimeMicros);
    await vi.waitFor(
      async () => {
        const pausedLoss = await lossOf(toPause.name);
        assert.equal(pausedLoss?.cause, "event-loop-stalled");
        assert.match(pausedLoss.detail, /^\d+\.\d s of a lease of 10 s$/);
      },
      { timeout: 10_000, interval: 100 },
    );
  }, 40_000);

  it("durability 12: a replica that shuts down hands its work over, which uses up no attempt", async () => {
    const handle = await start();
    const { worker } = await claimed(workers, handle.name);
    assert.equal(await worker.shutdown(), 0);
    assert.equal((await worker.heard("aborted", handle.name)).code, Code.Unavailable);
    assert.equal((await handle.result()).pages, 2);
    assert.deepEqual(await rowOf(handle.name), { state: "done", attempt: 2, handovers: 1 });
  });
});
