import type { RecordChanges } from "../record-transitions.js";
import { createOrderedIds, type OrderedIds } from "./ordered-ids.js";
import type { RecordRows } from "./record-rows.js";

/**
 * The records that a list may show, in the orders that lists need. Each order ends with the create
 * time, which no two records share. A record without a principal is in no order by principal,
 * because its caller is not distinguished from others.
 */
export interface ListedRows {
  readonly byTime: OrderedIds;
  readonly byParent: OrderedIds;
  /** Ordered by principal. */
  readonly byPrincipal: OrderedIds;
  /** Ordered by principal and then parent. */
  readonly byPrincipalAndParent: OrderedIds;
}

/** The indexes of a store. Each query of the contract costs the same at every size. */
export interface RecordIndexes {
  /** Not done. */
  readonly open: ListedRows;
  readonly done: ListedRows;
  /** Queued or running, hidden or not, without those that are driven from outside; by create time. */
  readonly workable: OrderedIds;
  /**
   * Not done and with a resource key, but for the hidden ones that are driven from outside;
   * by resource and then create time.
   */
  readonly byResource: OrderedIds;
  /** Not done and with a deadline; by deadline. */
  readonly byDeadline: OrderedIds;
  /** Records with a removal time (done, hidden, tombstones), ordered by it. */
  readonly byRemoval: OrderedIds;
  /** Take a new row up. */
  add(row: number): void;
  /** Change a row, and move it to where it belongs then. */
  change(row: number, changes: RecordChanges): void;
  /** Make a row a tombstone. */
  makeTombstone(row: number): void;
  /** Let go of a row. */
  free(row: number): void;
}

/** An index and which rows it has. */
interface Place {
  readonly ids: OrderedIds;
  has(row: number): boolean;
}

export function createRecordIndexes(rows: RecordRows): RecordIndexes {
  const isDone = (row: number) => rows.stateOf(row) === "done";
  const isListed = (row: number) => !rows.isHidden(row) && !rows.isTombstone(row);

  const byTime = (one: number, other: number) => rows.createTimeOf(one) - rows.createTimeOf(other);
  const byParent = (one: number, other: number) =>
    rows.parentOf(one) - rows.parentOf(other) || byTime(one, other);
  const byPrincipal = (one: number, other: number) =>
    rows.principalOf(one) - rows.principalOf(other) || byTime(one, other);
  const byPrincipalAndParent = (one: number, other: number) =>
    rows.principalOf(one) - rows.principalOf(other) || byParent(one, other);
  const byResource = (one: number, other: number) =>
    (rows.resourceOf(one) ?? 0) - (rows.resourceOf(other) ?? 0) || byTime(one, other);
  const deadlineTimeOf = (row: number) => rows.deadlineTimeOf(row) ?? Number.POSITIVE_INFINITY;
  const removalTimeOf = (row: number) => rows.removalTimeOf(row) ?? Number.POSITIVE_INFINITY;

  const listed = (): ListedRows => ({
    byTime: createOrderedIds(byTime),
    byParent: createOrderedIds(byParent),
    byPrincipal: createOrderedIds(byPrincipal),
    byPrincipalAndParent: createOrderedIds(byPrincipalAndParent),
  });
  const hasPrincipal = (row: number) => rows.principals.textOf(rows.principalOf(row)) !== "";
  const listedPlaces = (lists: ListedRows, has: (row: number) => boolean): Place[] => [
    { ids: lists.byTime, has },
    { ids: lists.byParent, has },
    { ids: lists.byPrincipal, has: (row) => has(row) && hasPrincipal(row) },
    { ids: lists.byPrincipalAndParent, has: (row) => has(row) && hasPrincipal(row) },
  ];
  const open = listed();
  const done = listed();
  const workable = createOrderedIds(byTime);
  const resources = createOrderedIds(byResource);
  const deadlines = createOrderedIds(
    (one, other) => deadlineTimeOf(one) - deadlineTimeOf(other) || byTime(one, other),
  );
  const removals = createOrderedIds(
    (one, other) => removalTimeOf(one) - removalTimeOf(other) || byTime(one, other),
  );

  /** In these a row stays where it is for as long as it is there. */
  const lasting: readonly Place[] = [
    ...listedPlaces(open, (row) => isListed(row) && !isDone(row)),
    ...listedPlaces(done, (row) => isListed(row) && isDone(row)),
    {
      ids: workable,
      has: (row) =>
        !isDone(row) &&
        rows.stateOf(row) !== "blocked" &&
        !rows.isExternal(row) &&
        !rows.isTombstone(row),
    },
    {
      ids: resources,
      has: (row) =>
        !isDone(row) &&
        rows.resourceOf(row) !== undefined &&
        !rows.isTombstone(row) &&
        !(rows.isHidden(row) && rows.isExternal(row)),
    },
  ];
  /** In these it moves when its times change. */
  const timed: readonly Place[] = [
    {
      ids: deadlines,
      has: (row) =>
        !isDone(row) && rows.deadlineTimeOf(row) !== undefined && !rows.isTombstone(row),
    },
    {
      ids: removals,
      has: (row) => rows.removalTimeOf(row) !== undefined,
    },
  ];

  const enter = (row: number, places: readonly Place[]) => {
    for (const { ids, has } of places) if (has(row)) ids.add(row);
  };
  const leave = (row: number, places: readonly Place[]) => {
    for (const { ids, has } of places) if (has(row)) ids.remove(row);
  };

  return {
    open,
    done,
    workable,
    byResource: resources,
    byDeadline: deadlines,
    byRemoval: removals,
    add(row) {
      enter(row, lasting);
      enter(row, timed);
    },
    change(row, changes) {
      if (!canMove(changes)) {
        rows.change(row, changes);
        return;
      }
      const before = lasting.map(({ has }) => has(row));
      leave(row, timed);
      rows.change(row, changes);
      enter(row, timed);
      lasting.forEach(({ ids, has }, at) => {
        const isThere = has(row);
        if (isThere && !before[at]) ids.add(row);
        else if (!isThere && before[at]) ids.remove(row);
      });
    },
    makeTombstone(row) {
      leave(row, lasting);
      leave(row, timed);
      rows.makeTombstone(row);
      enter(row, timed);
    },
    free(row) {
      leave(row, lasting);
      leave(row, timed);
      rows.free(row);
    },
  };
}

/** Whether a row may belong somewhere else after these changes: a report never moves one. */
function canMove(changes: RecordChanges): boolean {
  return "state" in changes || "deadlineTimeMicros" in changes || "deleteTimeMicros" in changes;
}
