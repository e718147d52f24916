import { randomUUID } from "node:crypto";
import pg from "pg";
import { databaseUrl } from "./postgres-url.js";

/** Rows of operations as one would write them by hand, a statement and a commit each. */
export interface PostgresRows {
  /** Resolves with the new row's name. */
  insert(): Promise<string>;
  finish(name: string): Promise<void>;
}

const payload = Buffer.alloc(40);

export async function openPostgresRows(): Promise<PostgresRows> {
  const pool = new pg.Pool({ connectionString: databaseUrl(), max: 20 });
  await pool.query(
    `create table rows (name text primary key, state text not null, request bytea not null,
      result bytea, create_time timestamptz not null default now())`,
  );
  return {
    async insert() {
      const name = `operations/${randomUUID()}`;
      await pool.query("insert into rows (name, state, request) values ($1, 'queued', $2)", [
        name,
        payload,
      ]);
      return name;
    },
    async finish(name) {
      await pool.query("update rows set state = 'done', result = $2 where name = $1", [
        name,
        payload,
      ]);
    },
  };
}
