/** Pages of a list over all parents, by one to four PostgreSQL databases that are shards. */
import pg from "pg";
import { createShards } from "../../src/server/index.js";
import type { ListCursor, OperationStore } from "../../src/store/index.js";
import { createPostgresStore, migrate } from "../../src/store/postgres/index.js";
import { withPreparedStatements } from "../../src/store/postgres/prepared-statements.js";
import type { Fill, FillOutcome, List, ListOutcome } from "../child-messages.js";
import { runStored } from "../child-side.js";
import { databaseUrl } from "./postgres-url.js";

const pageSize = 50;
const nothing = async () => undefined;

let pools: readonly pg.Pool[] = [];
let store: OperationStore | undefined;

/** Creates the databases beside the one that the parent named, and fills each by one statement. */
async function fill({ operations, wireBytes, shards = 1 }: Fill): Promise<FillOutcome> {
  const first = new URL(databaseUrl());
  const others = Array.from({ length: shards - 1 }, (_, at) => {
    const url = new URL(first);
    url.pathname += `_${at + 1}`;
    return url;
  });
  const client = new pg.Client({ connectionString: first.href });
  await client.connect();
  for (const { pathname } of others) await client.query(`create database ${pathname.slice(1)}`);
  await client.end();
  const opened = [first, ...others].map(
    ({ href }) => new pg.Pool({ connectionString: href, max: 1 }),
  );
  for (const [shard, pool] of opened.entries()) {
    await migrate(pool);
    await pool.query(
      `insert into longrunning.operations (name, parent, method, principal, external, state, request,
        metadata, result_kind, result, retention_ms, create_time, update_time, end_time, expire_time)
      select $1 || '/operations/' || lpad(i::text, 36, '0'), $1, 'bench.v1.BenchService/Run', '', false,
        'done', '', payload, 'response', payload, 2592000000, time, time, time, time + interval '30 days'
      from generate_series(1, $2::integer) i,
        lateral (select now() - ($2::integer - i) * interval '1 millisecond' as time,
          convert_to(repeat('x', $3::integer), 'UTF8') as payload) as given`,
      [`projects/demo/locations/l${shard}`, operations, Math.floor(wireBytes / 2)],
    );
    await pool.query("vacuum analyze longrunning.operations");
  }
  pools = opened;
  const parts = opened.map((pool) => ({
    store: createPostgresStore({ pool: withPreparedStatements(pool) }),
    dispatcher: { isDurable: true, dispatch: nothing, serve: () => undefined, stop: nothing },
    signals: {
      pollIntervalMs: undefined,
      subscribe: async () => () => undefined,
      publish: nothing,
      close: nothing,
    },
  }));
  const [only] = parts;
  const isOne = parts.length === 1 && only !== undefined;
  const shardOf = (parent: string) => Number(/\/l(\d)$/.exec(parent)?.[1] ?? 0);
  store = isOne ? only.store : createShards(parts, { shardOf }).store;
  return { heldBytes: 0, wireBytes };
}

/** Reads one page again and again. The newest operations of all shards take turns. */
async function list({ page, durationMs }: List): Promise<ListOutcome> {
  if (store === undefined) throw new Error("the store is not filled");
  const after = await cursorBefore(page);
  const startMs = performance.now();
  const before = process.cpuUsage();
  let pages = 0;
  do {
    const query = { parent: "projects/demo/locations/-", principal: undefined, filter: undefined };
    const { records } = await store.list({ ...query, after, limit: pageSize });
    if (records.length !== pageSize) throw new Error(`a page of ${records.length} records`);
    pages += 1;
  } while (performance.now() - startMs < durationMs);
  const { user, system } = process.cpuUsage(before);
  const elapsedMicros = (performance.now() - startMs) * 1000;
  return { pages, micros: user + system, elapsedMicros };
}

const cursors = new Map<number, ListCursor>();

async function cursorBefore(page: number): Promise<ListCursor | undefined> {
  const [pool] = pools;
  if (page === 1 || pool === undefined) return undefined;
  const known = cursors.get(page);
  if (known !== undefined) return known;
  const { rows } = await pool.query<{ name: string; micros: string }>(
    `select name, longrunning.micros(create_time) as micros from longrunning.operations
    order by create_time desc, name desc offset $1 limit 1`,
    [Math.floor(((page - 1) * pageSize) / pools.length) - 1],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`there is no page ${page}`);
  const cursor = { name: row.name, createTimeMicros: Number(row.micros) };
  cursors.set(page, cursor);
  return cursor;
}

runStored(async (message) => {
  if (message.ask === "fill") return fill(message.argument);
  if (message.ask === "list") return list(message.argument);
  throw new Error(`shards are not asked for ${message.ask}`);
});
