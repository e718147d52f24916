import { createTimeRange, requiredDone } from "../filter-bounds.js";
import { matchesFilter, type OperationFilter } from "../operation-filter.js";
import type {
  ListCursor,
  ListPage,
  ListQuery,
  OperationRecord,
  StoreOptions,
} from "../operation-store.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { numberOf, optionalTextOf, type Row, textOf } from "../sql/row.js";
import type { Database } from "./database.js";
import { filterSql } from "./filter-sql.js";
import { createParameters, isVisible, type Parameters } from "./statement.js";

/** What lists stand on. */
export interface ListParts {
  database: Database;
  /** The schema, quoted. */
  schema: string;
  /** What `recordFromRow` reads of row `o`. */
  columns: string;
}

/** Longest stretch of rows that one page looks at before it ends early. */
const maxScannedPerPage = 10_000;

/**
 * How many records a filter reads the payloads of for one page, and how many of them are
 * fetched at a time.
 */
const maxReadPerPage = 2000;
const readAtATime = 200;

/**
 * One page by keyset. What of its filter is about payloads is looked at here, in a bounded
 * number of records that the database says may match.
 */
export async function listOperations(
  parts: ListParts,
  query: ListQuery,
  options: StoreOptions | undefined,
): Promise<ListPage> {
  const { filter, limit } = query;
  if (filter === undefined || isDecidedBySql(filter, parts.schema)) {
    return scanPage(parts, query, options);
  }
  const found: OperationRecord[] = [];
  let { after } = query;
  for (let read = 0; read < maxReadPerPage; read += readAtATime) {
    const page = await scanPage(parts, { ...query, after, limit: readAtATime }, options);
    for (const record of page.records) {
      if (!matchesFilter(filter, record)) continue;
      // One more than the page holds: there is more to come.
      if (found.length === limit) return { records: found, next: found.at(-1) };
      found.push(record);
    }
    after = page.next;
    if (page.records.length < readAtATime || after === undefined) break;
  }
  return { records: found, next: after };
}

function isDecidedBySql(filter: OperationFilter, schema: string): boolean {
  return filterSql(filter, schema, createParameters()).isExact;
}

/**
 * The rows of the parent (or of all parents) are walked along an index, a bounded number of
 * them, and those that may match are picked out; where they do not fill the page,
 * `rest` is the last row of the walk, as one statement's snapshot has it.
 */
async function scanPage(
  { database, schema, columns }: ListParts,
  query: ListQuery,
  options: StoreOptions | undefined,
): Promise<ListPage> {
  const { limit } = query;
  const parameters = createParameters();
  const walk = `from ${schema}.operations o where ${walkCondition(query, schema, parameters)}
    order by o.create_time desc, o.name desc`;
  const matching = matchCondition(query, schema, parameters);
  const scanned = parameters.add(maxScannedPerPage);
  const wanted = parameters.add(limit + 1);
  const rows = await database.rows(
    `with page as (
      select ${columns} from (select o.* ${walk} limit ${scanned}) o
      where ${matching} order by o.create_time desc, o.name desc limit ${wanted}
    ), rest as (
      select ${schema}.micros(o.create_time) as rest_time, o.name as rest_name ${walk}
      offset ${scanned}::bigint - 1 limit (select (count(*) < ${wanted}::bigint)::integer from page)
    )
    select rest.*, page.* from (values (1)) as one left join rest on true left join page on true
    order by page.create_time desc, page.name desc`,
    parameters.values,
    options,
  );
  const records = rows
    .filter((row) => optionalTextOf(row, "name") !== undefined)
    .map(recordFromRow);
  if (records.length > limit) return { records: records.slice(0, limit), next: records[limit - 1] };
  const [row] = rows;
  return { records, next: row && endOfWalk(row) };
}

function endOfWalk(row: Row): ListCursor | undefined {
  if (optionalTextOf(row, "rest_name") === undefined) return undefined;
  const name = unescapeNul(textOf(row, "rest_name"));
  return { createTimeMicros: numberOf(row, "rest_time"), name };
}

/** Which rows are walked: what an index can tell. */
function walkCondition(query: ListQuery, schema: string, { add }: Parameters): string {
  const conditions = ["o.delete_time is null"];
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
      conditions.push(`o.create_time ${operator} ${schema}.time_of(${add(micros)})`);
    }
  }
  if (query.after !== undefined) {
    const { createTimeMicros, name } = query.after;
    conditions.push(
      `(o.create_time, o.name) < (${schema}.time_of(${add(createTimeMicros)}), ${add(escapeNul(name))})`,
    );
  }
  return conditions.join(" and ");
}

/** Which of the rows that are walked belong to the list. */
function matchCondition(
  { parent, principal, filter }: ListQuery,
  schema: string,
  parameters: Parameters,
): string {
  const { add } = parameters;
  const conditions = [isVisible];
  if (hasWildcard(parent)) conditions.push(`o.parent ~ ${add(parentPattern(parent))}`);
  if (principal !== undefined) conditions.push(`o.principal = ${add(escapeNul(principal))}`);
  if (filter !== undefined) conditions.push(filterSql(filter, schema, parameters).condition);
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
