import type { OperationFilter, TimeColumn } from "./operation-filter.js";
import type { Comparator } from "./value-test.js";

/**
 * A range of create times, including both ends, in microseconds since the epoch. An open end is
 * infinite.
 */
export interface CreateTimeRange {
  readonly least: number;
  readonly most: number;
}

/**
 * Returns the value of `done` that every match must have, so that a store can use an index;
 * undefined if the filter matches both.
 */
export function requiredDone(filter: OperationFilter): boolean | undefined {
  const { canBeDone, canBeUndone } = boundsOf(filter);
  return canBeDone === canBeUndone ? undefined : canBeDone;
}

/**
 * Returns the range in which the create time of every match lies. It is empty (`least` above
 * `most`) if no record can match.
 */
export function createTimeRange(filter: OperationFilter): CreateTimeRange {
  const { least, most } = boundsOf(filter);
  return { least, most };
}

interface Bounds extends CreateTimeRange {
  readonly canBeDone: boolean;
  readonly canBeUndone: boolean;
}

const anywhere: Bounds = {
  canBeDone: true,
  canBeUndone: true,
  least: Number.NEGATIVE_INFINITY,
  most: Number.POSITIVE_INFINITY,
};
const nowhere: Bounds = {
  canBeDone: false,
  canBeUndone: false,
  least: Number.POSITIVE_INFINITY,
  most: Number.NEGATIVE_INFINITY,
};
const onlyDone: Bounds = { ...anywhere, canBeUndone: false };

/** Where the records can be that match: never too narrow. */
function boundsOf(filter: OperationFilter): Bounds {
  switch (filter.kind) {
    case "and":
      return filter.operands.map(boundsOf).reduce(intersection, anywhere);
    case "or":
      return filter.operands.map(boundsOf).reduce(union, nowhere);
    case "constant":
      return filter.value ? anywhere : nowhere;
    case "done":
      return { ...anywhere, canBeDone: filter.value, canBeUndone: !filter.value };
    case "state-in": {
      const canBeDone = filter.states.includes("done");
      return {
        ...anywhere,
        canBeDone,
        canBeUndone: filter.states.some((state) => state !== "done"),
      };
    }
    case "time":
      return timeBounds(filter.column, filter.operator, filter.micros);
    case "error-code":
      return onlyDone;
    case "present":
      return filter.column === "metadata" ? anywhere : onlyDone;
    case "payload":
      return filter.payload === "metadata" ? anywhere : onlyDone;
    case "not":
    case "cancel-requested":
    case "text":
    case "wildcard":
    case "attempt":
    case "method-in":
      return anywhere;
  }
}

function timeBounds(column: TimeColumn, operator: Comparator, micros: number): Bounds {
  if (column === "end_time") return onlyDone;
  if (column === "update_time") return anywhere;
  switch (operator) {
    case "=":
      return { ...anywhere, least: micros, most: micros };
    case "!=":
      return anywhere;
    case "<":
      return { ...anywhere, most: micros - 1 };
    case "<=":
      return { ...anywhere, most: micros };
    case ">":
      return { ...anywhere, least: micros + 1 };
    case ">=":
      return { ...anywhere, least: micros };
  }
}

function intersection(one: Bounds, other: Bounds): Bounds {
  return {
    canBeDone: one.canBeDone && other.canBeDone,
    canBeUndone: one.canBeUndone && other.canBeUndone,
    least: Math.max(one.least, other.least),
    most: Math.min(one.most, other.most),
  };
}

function union(one: Bounds, other: Bounds): Bounds {
  return {
    canBeDone: one.canBeDone || other.canBeDone,
    canBeUndone: one.canBeUndone || other.canBeUndone,
    least: Math.min(one.least, other.least),
    most: Math.max(one.most, other.most),
  };
}
