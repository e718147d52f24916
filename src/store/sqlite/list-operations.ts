import type { ListPage, ListQuery } from "../operation-store.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { numberOf, textOf } from "../sql/row.js";
import { type Condition, filterSql, requiredDone } from "./filter-sql.js";
import { operationColumns, recordFromRow } from "./operation-row.js";
import type { SqliteDatabase } from "./sqlite-database.js";

/** Longest stretch of rows that one page looks at before it ends early. */
const maxScannedPerPage = 10_000;

/**
 * One page by keyset. The rows of the parent (or of all parents) are walked along an index,
 * a bounded number of them, and those that match are picked out; where they do not fill
 * the page, it goes on after the last row of the walk.
 */
export function listOperations(
  database: SqliteDatabase,
  query: ListQuery,
  nowMicros: number,
): ListPage {
  const { limit } = query;
  const walk = walkCondition(query);
  const match = matchCondition(query, nowMicros);
  // The walk goes by the columns that it looks at; the payloads are read of the matches alone.
  const walked = "create_time, parent, principal, expire_time, end_time";
  const records = database
    .rows(
      `select ${operationColumns} from operations where create_time in (
        select create_time from (
          select ${walked} from operations where ${walk.text} order by create_time desc limit ?
        ) where ${match.text} order by create_time desc limit ?
      ) order by create_time desc`,
      ...walk.values,
      maxScannedPerPage,
      ...match.values,
      limit + 1,
    )
    .map(recordFromRow);
  if (records.length > limit) return { records: records.slice(0, limit), next: records[limit - 1] };
  const [last] = database.rows(
    `select create_time, name from operations where ${walk.text}
    order by create_time desc limit 1 offset ?`,
    ...walk.values,
    maxScannedPerPage - 1,
  );
  if (last === undefined) return { records, next: undefined };
  const name = unescapeNul(textOf(last, "name"));
  return { records, next: { createTimeMicros: numberOf(last, "create_time"), name } };
}

/** Which rows are walked: what an index can tell. */
function walkCondition({ parent, filter, after }: ListQuery): Condition {
  const conditions: Condition[] = [{ text: "delete_time is null", values: [] }];
  if (!hasWildcard(parent)) conditions.push({ text: "parent = ?", values: [escapeNul(parent)] });
  if (filter !== undefined && requiredDone(filter) === false) {
    conditions.push({ text: "end_time is null", values: [] });
  }
  // No two have the same create time, so that it is all of the key.
  if (after !== undefined) {
    conditions.push({ text: "create_time < ?", values: [after.createTimeMicros] });
  }
  return all(conditions);
}

/** Which of the rows that are walked belong to the list. */
function matchCondition({ parent, principal, filter }: ListQuery, nowMicros: number): Condition {
  const conditions: Condition[] = [
    { text: "(expire_time is null or expire_time > ?)", values: [nowMicros] },
  ];
  if (hasWildcard(parent)) conditions.push(wildcardCondition(parent));
  if (principal !== undefined) {
    conditions.push({ text: "principal = ?", values: [escapeNul(principal)] });
  }
  if (filter !== undefined) conditions.push(filterSql(filter));
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
    text: "parent glob ? and length(parent) - length(replace(parent, '/', '')) = ?",
    values: [pattern.join("/"), segments.length - 1],
  };
}
