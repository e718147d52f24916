import pg from "pg";
import type { List, ListOutcome } from "../child-messages.js";
import { databaseUrl } from "./postgres-url.js";

export const parent = "projects/demo/locations/eu";
export const pageSize = 50;

/** Where a page begins. */
export interface Cursor {
  readonly createTimeMicros: number;
  readonly name: string;
}

export const pool = new pg.Pool({ connectionString: databaseUrl(), max: 1 });

/** Read one page again and again. The cursor of a page that lies deep is looked up once, by its offset. */
export async function listAgain(
  { page, durationMs }: List,
  readPage: (after: Cursor | undefined) => Promise<number>,
): Promise<ListOutcome> {
  const after = await cursorBefore(page);
  const startMs = performance.now();
  const before = process.cpuUsage();
  let pages = 0;
  do {
    const records = await readPage(after);
    if (records !== pageSize) throw new Error(`a page of ${records} records`);
    pages += 1;
  } while (performance.now() - startMs < durationMs);
  const { user, system } = process.cpuUsage(before);
  const elapsedMicros = (performance.now() - startMs) * 1000;
  return { pages, micros: user + system, elapsedMicros };
}

const cursors = new Map<number, Cursor | undefined>();

async function cursorBefore(page: number): Promise<Cursor | undefined> {
  if (page > 1 && !cursors.has(page)) {
    const { rows } = await pool.query<{ name: string; micros: string }>(
      `select name, longrunning.micros(create_time) as micros from longrunning.operations
      where parent = $1 and delete_time is null order by create_time desc, name desc offset $2 limit 1`,
      [parent, (page - 1) * pageSize - 1],
    );
    const [row] = rows;
    cursors.set(page, row && { name: row.name, createTimeMicros: Number(row.micros) });
  }
  return cursors.get(page);
}
