import { createTimeRange, requiredDone } from "../filter-bounds.js";
import type { ListCursor, ListPage, ListQuery, StoreOptions } from "../operation-store.js";
import { type FilterDialect, filterSql, isDecidedBySql } from "../sql/filter-sql.js";
import { hasReadEnough, maxWalkedRows, readPage, type Scan } from "../sql/list-page.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { numberOf, optionalTextOf, type Row, textOf } from "../sql/row.js";
import type { Database } from "./database.js";
import {
  createParameters,
  creationKey,
  creationKeyOf,
  isVisible,
  type Parameters,
} from "./statement.js";

/** Dependencies of lists. */
export interface ListParts {
  database: Database;
  /** The schema, quoted. */
  schema: string;
  /** The columns of row `o` that `recordFromRow` reads. */
  columns: string;
}

/** LIKE decides them. */
const decidesWildcards = true;

/**
 * Reads one page of a list. Conditions on payloads are evaluated in this process, for a limited
 * number of records that match the other conditions.
 */
export async function listOperations(
  parts: ListParts,
  query: ListQuery,
  options: StoreOptions | undefined,
): Promise<ListPage> {
  const { filter } = query;
  const isDecided = filter === undefined || isDecidedBySql(filter, { decidesWildcards });
  const reading = readPage(query, isDecided);
  for (;;) {
    const rest = { ...query, after: reading.after(), limit: reading.readLimit };
    const page = reading.add(await readScan(parts, rest, options));
    if (page !== undefined) return page;
  }
}

/**
 * Walks a bounded number of rows of the parent (or of all parents) along an index, and returns
 * the matching ones. If these are fewer than the limit, `rest` is the last row of the walk in
 * the snapshot of the same statement.
 */
async function readScan(
  { database, schema, columns }: ListParts,
  query: ListQuery,
  options: StoreOptions | undefined,
): Promise<Scan> {
  const parameters = createParameters();
  const key = walkKey(query);
  const walk = `from ${schema}.operations o where ${walkCondition(query, key, schema, parameters)}
    order by ${key.column} desc, o.name desc`;
  const matching = matchCondition(query, schema, parameters);
  const walked = parameters.add(maxWalkedRows);
  const wanted = parameters.add(query.limit);
  const rows = await database.rows(
    `with found as (
      select o.*, coalesce(octet_length(o.metadata), 0) + coalesce(octet_length(o.result), 0) as bytes
      from (select o.* ${walk} limit ${walked}) o
      where ${matching} order by o.create_time desc, o.name desc limit ${wanted}
    ), page as (
      select ${columns} from (
        select o.*, sum(o.bytes) over (
          order by o.create_time desc, o.name desc rows unbounded preceding
        ) - o.bytes as bytes_before from found o
      ) o where o.bytes_before < ${parameters.add(query.maxBytes ?? Number.MAX_SAFE_INTEGER)}::float8
    ), rest as (
      select ${schema}.micros(o.create_time) as rest_time, o.name as rest_name ${walk}
      offset ${walked}::bigint - 1 limit (select (count(*) < ${wanted}::bigint)::integer from found)
    )
    select rest.*, page.* from (values (1)) as one left join rest on true left join page on true
    order by page.create_time desc, page.name desc`,
    parameters.values,
    options,
  );
  const records = rows
    .filter((row) => optionalTextOf(row, "name") !== undefined)
    .map(recordFromRow);
  if (hasReadEnough(records, query)) return { records, next: records.at(-1) };
  const [row] = rows;
  return { records, next: row && endOfWalk(row) };
}

function endOfWalk(row: Row): ListCursor | undefined {
  if (optionalTextOf(row, "rest_name") === undefined) return undefined;
  const name = unescapeNul(textOf(row, "rest_name"));
  return { createTimeMicros: numberOf(row, "rest_time"), name };
}

/** The expression that the walked index is ordered by. */
interface WalkKey {
  readonly column: string;
  /** The key of a row with this create time. */
  of(createTime: string): string;
}

/** A caller that sees its own operations only walks them alone, and not those of others. */
function walkKey({ principal }: ListQuery): WalkKey {
  return hasOwnIndex(principal)
    ? { column: creationKey("o."), of: creationKeyOf }
    : { column: "o.create_time", of: (createTime) => createTime };
}

/** The indexes leave out the operations of callers without a principal. */
function hasOwnIndex(principal: string | undefined): principal is string {
  return principal !== undefined && principal !== "";
}

/** The condition on the walked rows; an index decides it. */
function walkCondition(
  query: ListQuery,
  key: WalkKey,
  schema: string,
  { add }: Parameters,
): string {
  const conditions = ["o.delete_time is null"];
  if (hasOwnIndex(query.principal)) {
    conditions.push(`o.principal = ${add(escapeNul(query.principal))}`, "o.principal <> ''");
  }
  if (!hasWildcard(query.parent)) conditions.push(`o.parent = ${add(escapeNul(query.parent))}`);
  if (query.filter !== undefined) {
    if (requiredDone(query.filter) === false) conditions.push("o.end_time is null");
    const { least, most } = createTimeRange(query.filter);
    if (least > most) conditions.push("false");
    for (const [operator, micros] of [
      [">=", least],
      ["<=", most],
    ] as const) {
      if (!Number.isFinite(micros)) continue;
      const limit = key.of(`${schema}.time_of(${add(micros)})`);
      conditions.push(`${key.column} ${operator} ${limit}`);
    }
  }
  if (query.after !== undefined) {
    const { createTimeMicros, name } = query.after;
    const last = key.of(`${schema}.time_of(${add(createTimeMicros)})`);
    conditions.push(`(${key.column}, o.name) < (${last}, ${add(escapeNul(name))})`);
  }
  return conditions.join(" and ");
}

/** The condition on the walked rows that belong to the list. */
function matchCondition(
  { parent, principal, filter }: ListQuery,
  schema: string,
  parameters: Parameters,
): string {
  const { add } = parameters;
  const conditions = [isVisible];
  if (hasWildcard(parent)) conditions.push(`o.parent ~ ${add(parentPattern(parent))}`);
  if (principal === "") conditions.push(`o.principal = ${add(escapeNul(principal))}`);
  if (filter !== undefined) {
    const dialect: FilterDialect = {
      add,
      prefix: "o.",
      time: (micros) => `${schema}.time_of(${add(micros)})`,
      decidesWildcards,
      wildcard: (column, pieces) => `(${column} like ${add(pieces.map(likePiece).join("%"))})`,
    };
    conditions.push(filterSql(filter, dialect));
  }
  return conditions.join(" and ");
}

function hasWildcard(parent: string): boolean {
  return parent.split("/").includes("-");
}

/** A segment `-` is any one segment (AIP-159); a regular expression of PostgreSQL's. */
function parentPattern(parent: string): string {
  const segments = parent
    .split("/")
    .map((segment) =>
      segment === "-" ? "[^/]+" : escapeNul(segment).replace(/[^A-Za-z0-9_-]/gu, "\\$&"),
    );
  return `^${segments.join("/")}$`;
}

/** Text between wildcards, as LIKE reads it. */
function likePiece(piece: string): string {
  return escapeNul(piece).replace(/[\\%_]/g, "\\$&");
}
