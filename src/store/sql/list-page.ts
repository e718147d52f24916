import { listedBytesOf } from "../listed-bytes.js";
import { matchesFilter } from "../operation-filter.js";
import type { ListCursor, ListPage, ListQuery, OperationRecord } from "../operation-store.js";

/** The maximum number of rows that one statement of a list scans along an index. */
export const maxWalkedRows = 10_000;

/** Maximum number of records that a page reads for a filter, or its limit if that is larger. */
const maxReadPerPage = 1000;

/** How many records one statement reads where most of them may not match. */
const readAtATime = 200;

/**
 * Whether a statement stopped because its records reached the size limit of a page. Statements
 * count only metadata and results, which is less than `listedBytesOf` counts.
 */
export function hasReadEnough(records: readonly OperationRecord[], query: ListQuery): boolean {
  if (records.length === query.limit) return true;
  const { maxBytes = Number.POSITIVE_INFINITY } = query;
  return records.reduce((bytes, record) => bytes + listedBytesOf(record), 0) >= maxBytes;
}

/** The result of one statement. */
export interface Scan {
  /** At most as many as were asked for: the first ones after the cursor that may match. */
  readonly records: readonly OperationRecord[];
  /**
   * Where the list goes on: after the last record if the statement `hasReadEnough`, otherwise after
   * the last row that it walked. Undefined at the end of the list.
   */
  readonly next: ListCursor | undefined;
}

/** The reading of one list page by several statements. */
export interface PageReading {
  /** How many records the next statement is to read. */
  readonly readLimit: number;
  /** Where the next statement begins. */
  after(): ListCursor | undefined;
  /** Adds the result of a statement. Returns the page, or undefined if another statement has to read. */
  add(stretch: Scan): ListPage | undefined;
}

/** @param isDecided Whether the statements find nothing but matches. */
export function readPage(query: ListQuery, isDecided: boolean): PageReading {
  const { filter, limit, maxBytes = Number.POSITIVE_INFINITY } = query;
  // One row more than the page holds shows that another page follows.
  const readLimit = isDecided ? limit + 1 : Math.max(limit + 1, readAtATime);
  const found: OperationRecord[] = [];
  let { after } = query;
  let read = 0;
  let bytes = 0;
  return {
    readLimit,
    after: () => after,
    add({ records, next }) {
      for (const record of records) {
        if (filter !== undefined && !isDecided && !matchesFilter(filter, record)) continue;
        bytes += listedBytesOf(record);
        const isFull = found.length === limit || (found.length > 0 && bytes > maxBytes);
        if (isFull) return { records: found, next: found.at(-1) };
        found.push(record);
      }
      read += records.length;
      after = next;
      const isLast = next === undefined || records.length < readLimit || read >= maxReadPerPage;
      return isLast ? { records: found, next } : undefined;
    },
  };
}
