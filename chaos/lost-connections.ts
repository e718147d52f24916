import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { migrate } from "../src/store/postgres/index.js";
import { installAudit, readAudit } from "./audit.js";

/** How often the connections of a process are ended, and how far apart. */
export interface LostConnectionsPlan {
  readonly rounds: number;
  readonly periodsMs: readonly number[];
}

/** The message of the program below when its starts have stopped and its operations have ended. */
export interface StartsMessage {
  readonly started: number;
  readonly unavailable: number;
  /** Errors with another code than UNAVAILABLE. */
  readonly otherErrors: readonly string[];
}

const program = fileURLToPath(new URL("./lost-connections-program.ts", import.meta.url));

/** How long the operations that are open may take to end after the last round, in milliseconds. */
const settleMs = 40_000;

/**
 * Ends all connections of a process in `rounds` rounds for each period, while the process has 20
 * starts in flight. Resolves with the faults that it found; none is the wanted outcome.
 */
export async function loseConnections(
  serverUrl: string,
  { rounds, periodsMs }: LostConnectionsPlan,
): Promise<string[]> {
  const admin = new pg.Client({ connectionString: serverUrl });
  await admin.connect();
  await admin.query("create database lost_connections");
  const url = new URL(serverUrl);
  url.pathname = "/lost_connections";
  const pool = new pg.Pool({ connectionString: url.href, max: 1 });
  await migrate(pool);
  await installAudit(pool);

  const child = fork(program, [url.href], {
    execArgv: ["--import", import.meta.resolve("tsx")],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const exited = once(child, "exit");
  const failures: string[] = [];
  const next = async (): Promise<unknown> => {
    const [message] = await Promise.race([once(child, "message"), exited.then(() => [undefined])]);
    return message;
  };
  await next();
  for (const periodMs of periodsMs) {
    for (let round = 0; round < rounds && child.exitCode === null; round += 1) {
      await sleep(periodMs);
      await admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'lost_connections'",
      );
    }
  }
  if (child.exitCode === null) child.send("stop");
  const answer = await Promise.race([next(), sleep(settleMs).then(() => undefined)]);
  const isReport = (message: unknown): message is StartsMessage =>
    typeof message === "object" && message !== null && "started" in message;
  const audit = await readAudit(pool);
  if (child.exitCode !== null) failures.push(`the process ended with ${child.exitCode}`);
  else if (!isReport(answer)) failures.push(`${audit.open} operations did not end`);
  else {
    const { started, unavailable, otherErrors } = answer;
    console.log("lost connections:", { rounds, periodsMs, started, unavailable });
    if (started === 0 || unavailable === 0) failures.push("no start met a lost connection");
    failures.push(...otherErrors.map((error) => `a start failed with ${error}`));
    if (audit.open > 0) failures.push(`${audit.open} operations did not end`);
    if (audit.endedTwice > 0) failures.push(`${audit.endedTwice} operations ended twice`);
    if (audit.ends < started) failures.push(`${started} starts, but ${audit.ends} ends`);
  }
  child.kill("SIGKILL");
  await exited;
  await pool.end();
  await admin.query("drop database lost_connections with (force)");
  await admin.end();
  return failures;
}
