import type { OperationFilter } from "./operation-filter.js";

/** Create times, both ends included, in microseconds since the epoch; infinite where open. */
export interface CreateTimeRange {
  readonly least: number;
  readonly most: number;
}

/**
 * The value of `done` that every match must have, so that a store can go by an index;
 * undefined where the filter does not fix it.
 */
export function requiredDone(filter: OperationFilter): boolean | undefined {
  const { canBeDone, canBeUndone } = boundsOf(filter, true);
  return canBeDone === canBeUndone ? undefined : canBeDone;
}

/**
 * The range in which the create time of every match lies. It is empty (`least` above
 * `most`) where nothing can match.
 */
export function createTimeRange(filter: OperationFilter): CreateTimeRange {
  const { least, most } = boundsOf(filter, true);
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

/** Where the records can be for which the filter has this value: never too narrow. */
function boundsOf(filter: OperationFilter, value: boolean): Bounds {
  switch (filter.kind) {
    case "and":
    case "or": {
      const each = filter.operands.map((operand) => boundsOf(operand, value));
      // "Not all of them" is "one of them not", and the other way round.
      return (filter.kind === "and") === value
        ? each.reduce(intersection, anywhere)
        : each.reduce(union, nowhere);
    }
    case "not":
      return boundsOf(filter.operand, !value);
    case "constant":
      return filter.value === value ? anywhere : nowhere;
    case "done": {
      const done = filter.value === value;
      return { ...anywhere, canBeDone: done, canBeUndone: !done };
    }
    case "time":
      if (filter.column === "create_time") return timeBounds(filter.operator, filter.micros, value);
      return filter.column === "end_time" && value ? onlyDone : anywhere;
    case "error-code":
      return value ? onlyDone : anywhere;
    case "present":
      return value && filter.column !== "metadata" ? onlyDone : anywhere;
    case "payload":
      return value && filter.payload !== "metadata" ? onlyDone : anywhere;
    default:
      return anywhere;
  }
}

function timeBounds(
  operator: Extract<OperationFilter, { kind: "time" }>["operator"],
  micros: number,
  value: boolean,
): Bounds {
  switch (operator) {
    case "=":
      return value ? { ...anywhere, least: micros, most: micros } : anywhere;
    case "!=":
      return value ? anywhere : { ...anywhere, least: micros, most: micros };
    case "<":
      return value ? { ...anywhere, most: micros - 1 } : { ...anywhere, least: micros };
    case "<=":
      return value ? { ...anywhere, most: micros } : { ...anywhere, least: micros + 1 };
    case ">":
      return value ? { ...anywhere, least: micros + 1 } : { ...anywhere, most: micros };
    case ">=":
      return value ? { ...anywhere, least: micros } : { ...anywhere, most: micros - 1 };
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
