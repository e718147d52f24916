import { createTimeRange, requiredDone } from "../filter-bounds.js";
import type { ListCursor, ListPage, ListQuery } from "../operation-store.js";
import { type FilterDialect, filterSql, isDecidedBySql } from "../sql/filter-sql.js";
import { hasReadEnough, maxWalkedRows, readPage, type Scan } from "../sql/list-page.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { numberOf, textOf } from "../sql/row.js";
import { operationColumns } from "./operation-row.js";
import type { SqliteDatabase } from "./sqlite-database.js";
import type { SqliteValue } from "./sqlite-driver.js";

/** GLOB could decide them, but nothing bounds the time that it takes. */
const decidesWildcards = false;

/**
 * Returns one page of a list. An index gives the rows of the parent (or of all parents). SQL
 * selects the possible matches, and the filter decides.
 */
export function listOperations(
  database: SqliteDatabase,
  query: ListQuery,
  nowMicros: number,
): ListPage {
  const { filter } = query;
  const isDecided = filter === undefined || isDecidedBySql(filter, { decidesWildcards });
  const reading = readPage(query, isDecided);
  for (;;) {
    const rest = { ...query, after: reading.after(), limit: reading.readLimit };
    const page = reading.add(readScan(database, rest, nowMicros));
    if (page !== undefined) return page;
  }
}

/** The values of one statement, in the order of its text. */
function createParameters() {
  const values: SqliteValue[] = [];
  return {
    values,
    add(value: string | number) {
      values.push(value);
      return "?";
    },
  };
}

type Parameters = ReturnType<typeof createParameters>;

/** The first records after the query's cursor that may match. */
function readScan(database: SqliteDatabase, query: ListQuery, nowMicros: number): Scan {
  const parameters = createParameters();
  const { add } = parameters;
  // Payloads are read for matches only, because the index and the start of a row decide about the
  // rest.
  const found = `select create_time,
        coalesce(length(metadata), 0) + coalesce(length(result), 0) as bytes from (
        select * from operations
        where ${walkCondition(query, parameters)} order by create_time desc limit ${add(maxWalkedRows)}
      ) where ${matchCondition(query, nowMicros, parameters)}
      order by create_time desc limit ${add(query.limit)}`;
  const bytesBefore = "sum(bytes) over (order by create_time desc) - bytes";
  const text = `select ${operationColumns} from operations where create_time in (
      select create_time from (select create_time, ${bytesBefore} as bytes_before from (${found}))
      where bytes_before < ${add(query.maxBytes ?? Number.MAX_SAFE_INTEGER)}
    ) order by create_time desc`;
  const records = database.rows(text, ...parameters.values).map(recordFromRow);
  if (hasReadEnough(records, query)) return { records, next: records.at(-1) };
  return { records, next: endOfWalk(database, query) };
}

/** Returns the last row that one statement walks; undefined if the list ends before it. */
function endOfWalk(database: SqliteDatabase, query: ListQuery): ListCursor | undefined {
  const parameters = createParameters();
  const [last] = database.rows(
    `select create_time, name from operations where ${walkCondition(query, parameters)}
    order by create_time desc limit 1 offset ${parameters.add(maxWalkedRows - 1)}`,
    ...parameters.values,
  );
  if (last === undefined) return undefined;
  const name = unescapeNul(textOf(last, "name"));
  return { createTimeMicros: numberOf(last, "create_time"), name };
}

/** Returns the condition for the rows that are walked, which an index decides. */
function walkCondition(
  { parent, principal, filter, after }: ListQuery,
  { add }: Parameters,
): string {
  const conditions = ["delete_time is null"];
  if (principal !== undefined && principal !== "") {
    // The second condition repeats the index's condition, so that SQLite uses the index.
    conditions.push(`principal = ${add(escapeNul(principal))} and principal <> ''`);
  }
  if (!hasWildcard(parent)) conditions.push(`parent = ${add(escapeNul(parent))}`);
  if (filter !== undefined) {
    if (requiredDone(filter) === false) conditions.push("end_time is null");
    const { least, most } = createTimeRange(filter);
    // An infinite end needs no condition, and an empty range matches no row.
    if (least > most) conditions.push("false");
    if (Number.isFinite(least)) conditions.push(`create_time >= ${add(least)}`);
    if (Number.isFinite(most)) conditions.push(`create_time <= ${add(most)}`);
  }
  // No two rows have the same create time, so the create time is the whole key.
  if (after !== undefined) conditions.push(`create_time < ${add(after.createTimeMicros)}`);
  return conditions.join(" and ");
}

/** Returns the condition for the walked rows that may belong to the list. */
function matchCondition(
  { parent, principal, filter }: ListQuery,
  nowMicros: number,
  { add }: Parameters,
): string {
  const conditions = [`(expire_time is null or expire_time > ${add(nowMicros)})`];
  if (hasWildcard(parent)) conditions.push(wildcardCondition(parent, add));
  if (principal === "") conditions.push("principal = ''");
  if (filter !== undefined) {
    const dialect: FilterDialect = {
      add,
      prefix: "",
      time: add,
      decidesWildcards,
      wildcard: (column, pieces) =>
        `(${["true", ...pieces.filter((piece) => piece !== "").map((piece) => `instr(${column}, ${add(escapeNul(piece))}) > 0`)].join(" and ")})`,
    };
    conditions.push(filterSql(filter, dialect));
  }
  return conditions.join(" and ");
}

function hasWildcard(parent: string): boolean {
  return parent.split("/").includes("-");
}

/**
 * A segment `-` is any one segment (AIP-159). `*` of GLOB is also several; the number of
 * slashes leaves it one.
 */
function wildcardCondition(parent: string, add: Parameters["add"]): string {
  const segments = parent.split("/");
  const pattern = segments.map((segment) =>
    segment === "-" ? "?*" : escapeNul(segment).replace(/[*?[]/g, "[$&]"),
  );
  return `length(parent) - length(replace(parent, '/', '')) = ${add(segments.length - 1)}
    and parent glob ${add(pattern.join("/"))}`;
}
