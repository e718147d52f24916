import type { OperationCounts } from "../operation-counts.js";
import { unescapeNul } from "./nul-escape.js";
import { stateOf } from "./record-from-row.js";
import { numberOf, type Row, textOf } from "./row.js";

/**
 * Returns the statements that count, in any SQL. Each reads one partial index.
 *
 * @param oldest The expression for the earliest create time of a group, in microseconds.
 */
export function countStatements(table: string, oldest: string) {
  return {
    open: `select method, state, count(*) as operations, ${oldest} as oldest from ${table}
      where delete_time is null and end_time is null group by method, state`,
    lost: `select method, sum(losses) as attempts from ${table} where losses > 0 group by method`,
  };
}

/** @throws TypeError for rows of other statements. */
export function countsFromRows(open: readonly Row[], lost: readonly Row[]): OperationCounts {
  return {
    open: open.map((row) => ({
      method: methodOf(row),
      state: stateOf(row),
      operations: numberOf(row, "operations"),
      oldestTimeMicros: numberOf(row, "oldest"),
    })),
    lost: lost.map((row) => ({ method: methodOf(row), attempts: numberOf(row, "attempts") })),
  };
}

function methodOf(row: Row): string {
  return unescapeNul(textOf(row, "method"));
}
