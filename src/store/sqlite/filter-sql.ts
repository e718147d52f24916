import type { OperationFilter } from "../operation-store.js";
import type { SqliteValue } from "./sqlite-driver.js";

/** A condition on a row of `operations`, with the values of its parameters. */
export interface Condition {
  readonly text: string;
  readonly values: readonly SqliteValue[];
}

/** The condition that a filter comes to. */
export function filterSql(filter: OperationFilter): Condition {
  return { text: filter.value ? "end_time is not null" : "end_time is null", values: [] };
}

/** The value of `done` that each match must have; undefined where the filter leaves it open. */
export function requiredDone(filter: OperationFilter): boolean | undefined {
  return filter.value;
}
