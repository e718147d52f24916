import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, inject } from "vitest";

/** A database of one test file's own. */
export interface TestDatabase {
  readonly url: string;
  readonly pool: pg.Pool;
  /** Cuts all connections, and refuses new ones until `comeBack`. */
  leave(): Promise<void>;
  comeBack(): Promise<void>;
}

/** Create a database that is dropped after the file's tests. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const serverUrl = inject("databaseUrl");
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await onServer(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 20 });
  // Tests cut connections.
  pool.on("error", () => undefined);
  afterAll(async () => {
    await pool.end();
    await onServer(serverUrl, `drop database ${name} with (force)`);
  });
  return {
    url: url.href,
    pool,
    async leave() {
      await onServer(serverUrl, `alter database ${name} allow_connections false`);
      await onServer(
        serverUrl,
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
      );
    },
    comeBack: () => onServer(serverUrl, `alter database ${name} allow_connections true`),
  };
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
