import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import pg from "pg";
import { createLongRunningClient, OperationError } from "../src/index.js";
import { migrate } from "../src/store/postgres/index.js";
import { startPostgres } from "../test/support/postgres/start-postgres.js";
import { Print } from "../test/support/print-server.js";
import { installAudit, readAudit, readOperations, sumOfAudits } from "./audit.js";
import { type ChaosDatabase, makeFaults } from "./faults.js";
import { installLossyNotify, lostNotifications } from "./lossy-notify.js";
import { loseConnections } from "./lost-connections.js";
import { readMarkedPages } from "./marked-pages.js";
import { createRandom } from "./random.js";
import { startReplicaProcess } from "./replicas.js";

// npm run chaos [-- --short] [-- --seed 7] [-- --shards 2]: operations on PostgreSQL under faults.
const { values } = parseArgs({
  options: {
    short: { type: "boolean" },
    seed: { type: "string" },
    shards: { type: "string", default: "1" },
  },
});
const shards = Number(values.shards);
const seed = values.seed === undefined ? randomInt(2 ** 32) : Number(values.seed);
// `settleMs`: how long what is left may take once the faults have ended. The short run is part of
// the gate, where all of it has 90 s.
const plan = values.short
  ? {
      operations: 100,
      faults: { kills: 4, pauses: 4, cuts: 1, restarts: 1, noise: 1 },
      startsWithinMs: 15_000,
      settleMs: 35_000,
      lostConnections: { rounds: 60, periodsMs: [15] },
    }
  : {
      operations: 500,
      faults: { kills: 20, pauses: 20, cuts: 5, restarts: 3, noise: 5 },
      startsWithinMs: 120_000,
      settleMs: 60_000,
      lostConnections: { rounds: 200, periodsMs: [5, 15, 40] },
    };
console.log(`seed ${seed}: ${JSON.stringify(plan)}`);

const random = createRandom(seed);
const databases = await Promise.all(Array.from({ length: shards }, openDatabase));
const urls = databases.map(({ server }) => server.url);
// First, because the faults below crash the servers.
const connectionFailures = await loseConnections(urls[0] ?? "", plan.lostConnections);

/** Starts a PostgreSQL server with the tables, and with the triggers of the audit. */
async function openDatabase(): Promise<ChaosDatabase> {
  const server = await startPostgres(true);
  const pool = new pg.Pool({ connectionString: server.url, max: 5 });
  // They are cut on purpose.
  pool.on("error", () => undefined);
  await migrate(pool);
  await installAudit(pool);
  await installLossyNotify(pool);
  return { server, pool };
}

let staleWrites = 0;
const startReplica = (role: "worker" | "api") =>
  startReplicaProcess(urls, role, () => {
    staleWrites += 1;
  });
const api = await startReplica("api");
const workers = await Promise.all([1, 2, 3].map(() => startReplica("worker")));

const transport = createConnectTransport({
  baseUrl: `http://127.0.0.1:${api.port}`,
  httpVersion: "2",
});
const printer = createLongRunningClient({ print: Print }, transport, {
  poll: { initialDelayMs: 200, maxDelayMs: 2000 },
});

const passingCodes: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Aborted,
]);

/** The answer to a client that waited for an operation through the API process. */
interface Answer {
  readonly kind: "response" | "cancelled" | "wrong";
  /** Empty: it was not even started. */
  readonly name: string;
  /** The attempt that made the response. */
  readonly attempt?: number;
  /** When the server had said that it was asked to cancel. */
  readonly cancelAcknowledgedMs?: number | undefined;
}

const notStarted: Answer = { kind: "wrong", name: "" };

async function follow(
  delayMs: number,
  pages: number,
  cancelAfterMs: number | undefined,
): Promise<Answer> {
  await sleep(delayMs);
  const requestId = randomUUID();
  // The parent chooses the shard.
  const parent = `printers/${requestId}`;
  const handle = await patiently(() => printer.print({ parent, pages, requestId }));
  const { name } = handle;
  const answer = patiently(() => handle.result()).then(
    (response): Answer => {
      const printed = readMarkedPages(response.pages);
      const kind = printed.pages === pages ? "response" : "wrong";
      return { kind, name, attempt: printed.attempt };
    },
    (error: unknown): Answer => {
      const isCancelled = error instanceof OperationError && error.code === Code.Canceled;
      return { kind: isCancelled && cancelAfterMs !== undefined ? "cancelled" : "wrong", name };
    },
  );
  if (cancelAfterMs === undefined) return answer;
  await sleep(cancelAfterMs);
  await patiently(() => handle.cancel());
  const cancelAcknowledgedMs = Date.now();
  return { ...(await answer), cancelAcknowledgedMs };
}

/** Try a call again while the database is away. The request id keeps a start from counting twice. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const isPassing =
        error instanceof OperationError
          ? error.kind === "poll"
          : passingCodes.has(ConnectError.from(error).code);
      if (!isPassing) throw error;
      await sleep(500);
    }
  }
}

const followed = Array.from({ length: plan.operations }, () =>
  follow(
    random.between(0, plan.startsWithinMs),
    random.between(5, 60),
    random.fraction() < 0.15 ? random.between(0, 1500) : undefined,
  ),
);
const answers = Promise.all(followed.map((answer) => answer.catch(() => notStarted)));
const faults = await makeFaults({ databases, workers }, random, plan.faults);
const answered = await Promise.race([answers, sleep(plan.settleMs).then(() => undefined)]);
const ofEach = <T>(read: (pool: pg.Pool) => Promise<T>) =>
  Promise.all(databases.map(({ pool }) => read(pool)));
const audits = await ofEach(readAudit);
const audit = sumOfAudits(audits);
const operations = new Map((await ofEach(readOperations)).flatMap((each) => [...each]));
const lost = (await ofEach(lostNotifications)).reduce((sum, count) => sum + count, 0);
const count = (kind: Answer["kind"]) =>
  answered?.filter((answer) => answer.kind === kind).length ?? 0;

/** Answers that an attempt made which is not the last one that the operation had. */
const staleAnswers = (answered ?? []).filter(
  ({ name, attempt }) => attempt !== undefined && attempt !== operations.get(name)?.attempt,
).length;

/** Operations whose cancellation was acknowledged while they ran, and whose record has no request. */
const cancelsForgotten = (answered ?? []).filter(({ name, cancelAcknowledgedMs }) => {
  const operation = operations.get(name);
  if (cancelAcknowledgedMs === undefined || operation === undefined) return false;
  const { isCancelRequested, endTimeMs } = operation;
  return !isCancelRequested && (endTimeMs ?? Number.POSITIVE_INFINITY) > cancelAcknowledgedMs;
}).length;

const checks: (readonly [isBroken: boolean, what: string])[] = [
  ...connectionFailures.map((what) => [true, `lost connections: ${what}`] as const),
  [answered === undefined, "not every waiter was answered"],
  [count("wrong") > 0, `${count("wrong")} waiters got a wrong answer`],
  [audit.operations !== plan.operations, `there are ${audit.operations} operations`],
  [audit.ends !== plan.operations, `there were ${audit.ends} ends`],
  [audit.endedTwice > 0, `${audit.endedTwice} operations ended twice`],
  [audit.open > 0, `${audit.open} operations are open`],
  [audit.staleEnds > 0, `${audit.staleEnds} ends were written by a stale attempt`],
  [audit.staleReports > 0, `${audit.staleReports} reports of a stale attempt were accepted`],
  [staleAnswers > 0, `${staleAnswers} responses were those of a stale attempt`],
  [audit.cancelsIgnored > 0, `${audit.cancelsIgnored} cancellations were ignored`],
  [cancelsForgotten > 0, `${cancelsForgotten} acknowledged cancellations were forgotten`],
  // A fault that did not happen proves nothing.
  [audit.reports === 0, "nothing was reported"],
  [audit.cancels === 0, "nothing was cancelled"],
  [audit.recovered === 0, "nothing was taken over"],
  [audits.some(({ ends }) => ends === 0), "a shard has no operation"],
  [lost === 0, "no notification was lost"],
  // A few pauses may all miss those that would try.
  [!values.short && staleWrites === 0, "no stale attempt tried to write"],
];
const failures = checks.filter(([isBroken]) => isBroken);

console.log("faults:", faults);
console.log("audit:", audit, { staleWritesRefused: staleWrites, lostNotifications: lost });
console.log("answers:", { responses: count("response"), cancelled: count("cancelled") });
for (const [, what] of failures) console.error(`FAILED with seed ${seed}: ${what}`);

await Promise.all([api, ...workers].map((replica) => replica.end()));
await Promise.all(databases.map(({ pool }) => pool.end()));
await Promise.all(databases.map(({ server }) => server.stop()));
// `performance.now()` counts from the start of this process.
const status = failures.length === 0 ? "passed" : "failed";
console.log(
  `chaos ${status}: ${audit.ends} ends, ${faults.kills} kills, ${faults.pauses} pauses, ${faults.cuts} cuts, ` +
    `${faults.restarts} restarts; ${Math.round(performance.now() / 1000)} s in all`,
);
process.exit(failures.length === 0 ? 0 : 1);
