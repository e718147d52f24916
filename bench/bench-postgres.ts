import { randomUUID } from "node:crypto";
import pg from "pg";
import { type PostgresServer, startPostgres } from "../test/support/postgres/start-postgres.js";
import { type Child, startChild } from "./child.js";

/** Names the database of a child process, which inherits it. */
export const databaseVariable = "BENCH_DATABASE_URL";

/** One server for all subjects that run at a time, and how many those are. */
let shared: Promise<PostgresServer> | undefined;
let users = 0;

/** Creates a database for one subject, on a PostgreSQL server that this benchmark starts with fsync on. */
export interface BenchDatabase {
  /** Start a child process that finds the database's URL in `databaseVariable`. */
  startChild(module: URL): Promise<Child>;
  /** Let go of the server: the last one stops it. */
  close(): Promise<void>;
}

export async function openBenchDatabase(): Promise<BenchDatabase> {
  users += 1;
  shared ??= startPostgres(true);
  const server = await shared;
  const url = new URL(server.url);
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  const name = `bench_${randomUUID().replaceAll("-", "")}`;
  await client.query(`create database ${name}`);
  await client.end();
  url.pathname = `/${name}`;
  return {
    startChild(module) {
      // Read when the process is forked, which is before this returns.
      process.env[databaseVariable] = url.href;
      return startChild(module);
    },
    async close() {
      users -= 1;
      if (users > 0) return;
      shared = undefined;
      await server.stop();
    },
  };
}
