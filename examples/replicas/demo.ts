import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createLongRunningClient } from "connect-longrunning";
import { startPostgres } from "../../test/support/postgres/start-postgres.js";
import { Compress } from "../archive/archive-service.js";
import { type Replica, startReplica } from "./start-replica.js";

/** How long it may take until another replica goes on, in milliseconds. */
const takeoverMs = 12_000;

async function main(argument: string | undefined): Promise<void> {
  // npm runs scripts in the package's folder and says here where its user is.
  const folder = resolve(process.env.INIT_CWD ?? ".", argument ?? typescriptFolder());
  const database = await openDatabase();
  if (database === undefined) return;
  const directory = await mkdtemp(join(tmpdir(), "connect-longrunning-replicas-"));
  const replicas: Replica[] = [];
  let isPlayed = false;
  try {
    // The first one sets the schemas up, so that the others find them.
    const api = await startReplica(database.url, "api");
    replicas.push(api);
    const workers = await Promise.all([
      startReplica(database.url, "worker"),
      startReplica(database.url, "worker"),
    ]);
    replicas.push(...workers);
    await play({ api, workers, folder, archive: join(directory, `${basename(folder)}.tar.gz`) });
    isPlayed = true;
  } finally {
    await Promise.all(replicas.map((replica) => replica.close()));
    await database.stop();
    if (!isPlayed) await rm(directory, { recursive: true });
  }
}

/** The processes and paths of the demo. */
interface Scene {
  readonly api: Replica;
  readonly workers: readonly Replica[];
  readonly folder: string;
  readonly archive: string;
}

async function play({ api, workers, folder, archive }: Scene): Promise<void> {
  console.log("1. Three replicas on one PostgreSQL");
  console.log(`   api      ${api.url}, process ${api.pid}: starts and answers, runs nothing`);
  for (const worker of workers) console.log(`   worker   ${worker.url}, process ${worker.pid}`);

  console.log(`\n2. Compress ${folder}, and wait for it, through the api`);
  const transport = createGrpcTransport({ baseUrl: api.url });
  const archiver = createLongRunningClient({ compress: Compress }, transport);
  const handle = await archiver.compress({ folder, archive });
  console.log(`   ${handle.name}`);
  const result = handle.result();
  // Awaited further down; until then a rejection must not count as unhandled.
  result.catch(() => undefined);
  const { name } = handle;
  const runner = await Promise.race(
    workers.map(async (worker) => {
      await worker.heard("began", (event) => event.name === name);
      return worker;
    }),
  );
  console.log(`   attempt 1 runs in process ${runner.pid}`);
  const { filesDone, filesTotal } = await runner.heard("saved", (event) => event.name === name);
  console.log(`   checkpoint: ${filesDone} of ${filesTotal} files`);

  console.log(`\n3. kill -9 ${runner.pid}`);
  const killedAtMs = performance.now();
  await runner.kill();
  const next = workers.find((worker) => worker !== runner);
  if (next === undefined) throw new Error("there is no other worker");
  const began = await next.heard("began", (event) => event.name === name);
  const tookMs = performance.now() - killedAtMs;
  console.log(
    `   attempt ${began.attempt} runs in process ${next.pid}, ${(tookMs / 1000).toFixed(1)} s later, from ${began.filesDone} files on`,
  );
  if (tookMs > takeoverMs) throw new Error(`it took more than ${takeoverMs} ms`);
  if (began.filesDone === 0) throw new Error("it began at the beginning");

  console.log("\n4. What the client that waited through the api has got");
  const response = await result;
  console.log(`   archive  ${response.archive}`);
  console.log(`   bytes    ${response.archiveBytes} made of ${response.contentBytes}`);
  console.log(`   SHA-256  ${response.sha256}`);
}

/**
 * Opens the database that DATABASE_URL names, or starts a server for the demo. Returns undefined,
 * and prints the reason, if that fails.
 */
async function openDatabase(): Promise<{ url: string; stop(): Promise<void> } | undefined> {
  const url = process.env.DATABASE_URL;
  if (url !== undefined && url !== "") return { url, stop: async () => undefined };
  try {
    return await startPostgres(true);
  } catch (error) {
    console.log(`skipped: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

/** The folder that the demo compresses by default. */
function typescriptFolder(): string {
  return dirname(fileURLToPath(import.meta.resolve("typescript/package.json")));
}

main(process.argv[2]).then(
  // The client's connections would keep the process for a while.
  () => process.exit(),
  (error: unknown) => {
    console.error(error instanceof Error ? `demo: ${error.message}` : error);
    process.exit(1);
  },
);
