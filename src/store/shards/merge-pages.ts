import { compareCodePoints } from "../../internal/code-point-order.js";
import { listedBytesOf } from "../listed-bytes.js";
import type { ListCursor, ListPage, OperationRecord } from "../operation-store.js";

/** The order of a list: newest first, or oldest first for unfinished operations. */
export type PageOrder = "descending" | "ascending";

/**
 * Merges one page of each shard, all of which began after the same key. A shard whose page is not
 * its last one has more records after the page's end, so the merged page ends at the end of the
 * shortest page: no later record is complete yet.
 */
export function mergePages(
  pages: readonly ListPage[],
  order: PageOrder,
  { limit, maxBytes = Number.POSITIVE_INFINITY }: { limit: number; maxBytes?: number | undefined },
): ListPage {
  const sign = order === "ascending" ? 1 : -1;
  const compare = (one: ListCursor, other: ListCursor) => sign * compareKeys(one, other);
  const ends = pages.flatMap(({ next }) => (next === undefined ? [] : [next]));
  const [end] = ends.toSorted(compare);
  const complete = pages
    .flatMap(({ records }) => records)
    .filter((record) => end === undefined || compare(record, end) <= 0)
    .sort(compare);
  const records: OperationRecord[] = [];
  let bytes = 0;
  for (const record of complete) {
    bytes += listedBytesOf(record);
    const isFull = records.length === limit || (records.length > 0 && bytes > maxBytes);
    if (isFull) return { records, next: keyOf(records.at(-1)) };
    records.push(record);
  }
  return { records, next: keyOf(end) };
}

function keyOf(cursor: ListCursor | undefined): ListCursor | undefined {
  return cursor && { createTimeMicros: cursor.createTimeMicros, name: cursor.name };
}

function compareKeys(one: ListCursor, other: ListCursor): number {
  return one.createTimeMicros - other.createTimeMicros || compareCodePoints(one.name, other.name);
}
