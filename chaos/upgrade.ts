import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import pg from "pg";
import { createLongRunningClient } from "../src/index.js";
import { createPostgresOperator } from "../src/store/postgres/index.js";
import {
  checkOutOldProgram,
  hasOldProgram,
  oldCommit,
} from "../test/support/postgres/old-program.js";
import { startPostgres } from "../test/support/postgres/start-postgres.js";
import { Print } from "../test/support/print-server.js";
import { installAudit, readAudit } from "./audit.js";
import { readMarkedPages } from "./marked-pages.js";
import { createRandom } from "./random.js";
import { type ReplicaProcess, type ReplicaProgram, startReplicaProcess } from "./replicas.js";

// npm run chaos:upgrade: replicas of an old program and of this one on one PostgreSQL under load. In
// the order `upgrade` the old program is replaced by this one, which migrates the schema while the
// old one runs operations. In the order `rollback` this program is replaced by the old one on the new
// schema. Each replica is replaced by a kill, so that the other program takes over its operations.

type Version = "old" | "new";
type Role = "worker" | "api";

/** Each client starts one operation after the other, until all replicas are replaced. */
const plan = { clients: 16, replaceEveryMs: 4000, settleMs: 90_000 };

/** The outcome of one order. */
interface Outcome {
  readonly order: string;
  readonly failures: readonly string[];
}

if (!(await hasOldProgram())) {
  console.error(`the clone lacks commit ${oldCommit}: git fetch --unshallow`);
  process.exit(1);
}
const oldSources = await checkOutOldProgram();
const oldProgram: ReplicaProgram = {
  path: join(oldSources, "chaos/replica.ts"),
  argumentsOf: (role, databaseUrls) => [...databaseUrls, role],
};
const server = await startPostgres(true);

async function play(order: string, from: Version, to: Version): Promise<Outcome> {
  const url = await createDatabase(order);
  let staleWrites = 0;
  const start = (version: Version, role: Role) =>
    startReplicaProcess(
      [url],
      role,
      () => {
        staleWrites += 1;
      },
      version === "old" ? oldProgram : undefined,
    );
  const apis = [await start(from, "api")];
  const workers: ReplicaProcess[] = [await start(from, "worker"), await start(from, "worker")];
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  await installAudit(pool);
  const schemaVersion = async () =>
    (await pool.query("select max(version) as version from longrunning.migrations")).rows[0]
      .version;
  const versionBefore = await schemaVersion();

  const random = createRandom(7);
  const printerOf = ({ port }: ReplicaProcess) =>
    createLongRunningClient(
      { print: Print },
      createConnectTransport({ baseUrl: `http://127.0.0.1:${port}`, httpVersion: "2" }),
      { poll: { initialDelayMs: 200, maxDelayMs: 2000 } },
    );
  /** Starts by one API process, and waits by the one that is the newest by then. */
  const follow = async (pages: number): Promise<boolean> => {
    const requestId = randomUUID();
    const startedBy = random.fraction() < 0.5 ? apis[0] : apis.at(-1);
    if (startedBy === undefined) return false;
    const { name } = await patiently(() => printerOf(startedBy).print({ pages, requestId }));
    for (;;) {
      const waiter = apis.at(-1);
      if (waiter === undefined) return false;
      try {
        const handle = await printerOf(waiter).print.resume(name);
        return readMarkedPages((await handle.result()).pages).pages === pages;
      } catch (error) {
        if (!isPassing(error)) throw error;
        await sleep(500);
      }
    }
  };
  let isReplaced = false;
  const results: boolean[] = [];
  const startUntilReplaced = async () => {
    while (!isReplaced) results.push(await follow(random.between(20, 150)).catch(() => false));
  };
  const followed = Promise.all(Array.from({ length: plan.clients }, startUntilReplaced));

  // Both programs run together from here on. The first start migrates the schema.
  await sleep(plan.replaceEveryMs);
  apis.push(await start(to, "api"));
  const arrived = [await start(to, "worker"), await start(to, "worker")];
  const versionAfter = await schemaVersion();
  await sleep(plan.replaceEveryMs);
  for (const worker of workers) {
    await worker.end();
    await sleep(plan.replaceEveryMs);
  }
  isReplaced = true;
  const isSettled = await Promise.race([followed, sleep(plan.settleMs).then(() => undefined)]);
  const audit = await readAudit(pool);
  const { length: started } = results;
  const right = results.filter((isRight) => isRight).length;
  const operator = await createPostgresOperator({ pool }).catch(() => undefined);
  const alive = (await operator?.workers())?.length;

  const checks: (readonly [isBroken: boolean, what: string])[] = [
    [isSettled === undefined, "not every client got its result"],
    [right !== started, `${right} of ${started} results were right`],
    [audit.operations !== started, `there are ${audit.operations} operations`],
    [audit.ends !== started, `there were ${audit.ends} ends`],
    [audit.endedTwice > 0, `${audit.endedTwice} operations ended twice`],
    [audit.open > 0, `${audit.open} operations are open`],
    [audit.staleEnds > 0, `${audit.staleEnds} ends were written by a stale attempt`],
    [audit.staleReports > 0, `${audit.staleReports} reports of a stale attempt were accepted`],
    // Without these the run proves nothing.
    [audit.recovered === 0, "no operation was taken over"],
    [versionBefore === versionAfter && order === "upgrade", "nothing was migrated"],
  ];
  console.log(`${order}:`, {
    schema: `${versionBefore} -> ${versionAfter}`,
    ...audit,
    ...{ started, right, staleWritesRefused: staleWrites, workersAtTheEnd: alive },
  });
  await Promise.all([...apis, ...arrived].map((replica) => replica.end()));
  await pool.end();
  return { order, failures: checks.flatMap(([isBroken, what]) => (isBroken ? [what] : [])) };
}

async function createDatabase(name: string): Promise<string> {
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query(`create database "${name}"`);
  await admin.end();
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
}

async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isPassing(error)) throw error;
      await sleep(500);
    }
  }
}

function isPassing(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.Unavailable || code === Code.Aborted || code === Code.DeadlineExceeded;
}

const outcomes = [await play("upgrade", "old", "new"), await play("rollback", "new", "old")];
await server.stop();
await rm(oldSources, { recursive: true });
const failures = outcomes.flatMap(({ order, failures: broken }) =>
  broken.map((what) => `${order}: ${what}`),
);
for (const what of failures) console.error(`FAILED ${what}`);
console.log(
  `upgrade ${failures.length === 0 ? "passed" : "failed"}; ${Math.round(performance.now() / 1000)} s in all`,
);
process.exit(failures.length === 0 ? 0 : 1);
