import { createTimeRange, requiredDone } from "../filter-bounds.js";
import { matchesFilter } from "../operation-filter.js";
import type { ListCursor, ListPage, ListQuery, OperationRecord } from "../operation-store.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { numberOf, textOf } from "../sql/row.js";
import { type Condition, type FilterSql, filterColumns, filterSql } from "./filter-sql.js";
import { operationColumns } from "./operation-row.js";
import type { SqliteDatabase } from "./sqlite-database.js";

/** Longest stretch of rows that one statement looks at. */
const maxWalked = 10_000;

/**
 * How many records a page reads whole, at least as many as it may give, where a filter is
 * about what they hold.
 */
const maxRead = 1000;

/** How many records one statement reads whole where most of them may be none of the list's. */
const readAtATime = 200;

/** One statement's part of a page. */
interface Stretch {
  readonly records: readonly OperationRecord[];
  /** Where the walk goes on; undefined at the end of the list. */
  readonly next: ListCursor | undefined;
}

/**
 * One page by keyset. The rows of the parent (or of all parents) are walked along an index;
 * SQL picks out what may match, and the filter decides. A page that took much looking at
 * ends early.
 */
export function listOperations(
  database: SqliteDatabase,
  query: ListQuery,
  nowMicros: number,
): ListPage {
  const { filter, limit } = query;
  const sql = filter && filterSql(filter);
  const isExact = sql?.isExact ?? true;
  const readLimit = isExact ? limit + 1 : Math.max(limit + 1, readAtATime);
  const found: OperationRecord[] = [];
  let { after } = query;
  for (let read = 0; ; ) {
    const { records, next } = walk(database, { ...query, after }, sql, readLimit, nowMicros);
    for (const record of records) {
      if (filter !== undefined && !isExact && !matchesFilter(filter, record)) continue;
      if (found.length === limit) return { records: found, next: found.at(-1) };
      found.push(record);
    }
    read += records.length;
    // A statement that found less than it may has walked as far as it may.
    if (next === undefined || records.length < readLimit || read >= maxRead) {
      return { records: found, next };
    }
    after = next;
  }
}

/** The first records after `query.after` that may belong to the list. */
function walk(
  database: SqliteDatabase,
  query: ListQuery,
  filter: FilterSql | undefined,
  readLimit: number,
  nowMicros: number,
): Stretch {
  const walked = walkCondition(query);
  const match = matchCondition(query, filter, nowMicros);
  // The walk goes by the columns that it looks at; the payloads are read of the matches alone.
  const records = database
    .rows(
      `select ${operationColumns} from operations where create_time in (
        select create_time from (
          select parent, principal, expire_time, ${filterColumns} from operations
          where ${walked.text} order by create_time desc limit ?
        ) where ${match.text} order by create_time desc limit ?
      ) order by create_time desc`,
      ...walked.values,
      maxWalked,
      ...match.values,
      readLimit,
    )
    .map(recordFromRow);
  if (records.length === readLimit) return { records, next: records.at(-1) };
  const [last] = database.rows(
    `select create_time, name from operations where ${walked.text}
    order by create_time desc limit 1 offset ?`,
    ...walked.values,
    maxWalked - 1,
  );
  if (last === undefined) return { records, next: undefined };
  const name = unescapeNul(textOf(last, "name"));
  return { records, next: { createTimeMicros: numberOf(last, "create_time"), name } };
}

/** Which rows are walked: what an index can tell. */
function walkCondition({ parent, filter, after }: ListQuery): Condition {
  const conditions: Condition[] = [{ text: "delete_time is null", values: [] }];
  if (!hasWildcard(parent)) conditions.push({ text: "parent = ?", values: [escapeNul(parent)] });
  if (filter !== undefined) {
    if (requiredDone(filter) === false) conditions.push({ text: "end_time is null", values: [] });
    const { least, most } = createTimeRange(filter);
    // An infinite one is no bound, or nothing can match.
    if (least > most) conditions.push({ text: "0", values: [] });
    if (Number.isFinite(least)) conditions.push({ text: "create_time >= ?", values: [least] });
    if (Number.isFinite(most)) conditions.push({ text: "create_time <= ?", values: [most] });
  }
  // No two have the same create time, so that it is all of the key.
  if (after !== undefined) {
    conditions.push({ text: "create_time < ?", values: [after.createTimeMicros] });
  }
  return all(conditions);
}

/** Which of the rows that are walked may belong to the list. */
function matchCondition(
  { parent, principal }: ListQuery,
  filter: FilterSql | undefined,
  nowMicros: number,
): Condition {
  const conditions: Condition[] = [
    { text: "(expire_time is null or expire_time > ?)", values: [nowMicros] },
  ];
  if (hasWildcard(parent)) conditions.push(wildcardCondition(parent));
  if (principal !== undefined) {
    conditions.push({ text: "principal = ?", values: [escapeNul(principal)] });
  }
  if (filter !== undefined) conditions.push(filter.condition);
  return all(conditions);
}

function all(conditions: readonly Condition[]): Condition {
  return {
    text: conditions.map(({ text }) => text).join(" and "),
    values: conditions.flatMap(({ values }) => values),
  };
}

function hasWildcard(parent: string): boolean {
  return parent.split("/").includes("-");
}

/**
 * A segment `-` is any one segment (AIP-159). `*` of GLOB is also several; the number of
 * slashes leaves it one.
 */
function wildcardCondition(parent: string): Condition {
  const segments = parent.split("/");
  const pattern = segments.map((segment) =>
    segment === "-" ? "?*" : escapeNul(segment).replace(/[*?[]/g, "[$&]"),
  );
  return {
    text: "length(parent) - length(replace(parent, '/', '')) = ? and parent glob ?",
    values: [segments.length - 1, pattern.join("/")],
  };
}
