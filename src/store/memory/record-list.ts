import { createTimeRange, requiredDone } from "../filter-bounds.js";
import { listedBytesOf } from "../listed-bytes.js";
import { matchesFilter } from "../operation-filter.js";
import type { ListCursor, ListPage, ListQuery, OperationRecord } from "../operation-store.js";
import type { OrderedIds, Probe, Walk } from "./ordered-ids.js";
import { matchesParent, type ParentNames } from "./parent-names.js";
import { createPayloadCopies } from "./payload-copies.js";
import type { RecordIndexes } from "./record-indexes.js";
import type { RecordRows } from "./record-rows.js";

/** Longest stretch of records that one page looks at before it ends early. */
const maxScannedPerPage = 10_000;

/** The payloads of a page's records lie in arrays of this length: 16 kB. */
const copiedChunkWords = 4096;

/** The create times that can match if there is no filter. */
const anyTime = { least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY };

/** Dependencies of lists. */
export interface RecordListParts {
  rows: RecordRows;
  indexes: RecordIndexes;
  parents: ParentNames;
  /** The store's own time. */
  nowMicros(): number;
}

/** Rows from the newest down. */
interface Source {
  /** The next row; undefined at the end. */
  row: number | undefined;
  next(): void;
}

/** Creates a function that lists rows, newest first. */
export function createRecordList(parts: RecordListParts): (query: ListQuery) => ListPage {
  const { rows, indexes, parents, nowMicros } = parts;

  /** How a row lies to a cursor in the order of create time and name. */
  const toCursor = (row: number, after: ListCursor | undefined): number => {
    // Without a cursor, the range has no later end, so every row comes before its end.
    if (after === undefined) return -1;
    const difference = rows.createTimeOf(row) - after.createTimeMicros;
    return difference || (rows.nameOf(row) < after.name ? -1 : 1);
  };

  /** The rows of one range of an index, whose rows have 0 as their place. */
  const sourceOf = (index: OrderedIds, rangeOf: Probe, after: ListCursor | undefined): Source => {
    const walk = index.descendBefore((row) => rangeOf(row) || toCursor(row, after));
    return sourceFrom(walk, (row) => rangeOf(row) === 0);
  };

  const sourcesOf = (
    { parent, principal, filter }: ListQuery,
    after: ListCursor | undefined,
  ): Source[] => {
    const done = filter && requiredDone(filter);
    const groups = [
      ...(done === true ? [] : [indexes.open]),
      ...(done === false ? [] : [indexes.done]),
    ];
    if (principal !== undefined && principal !== "") {
      const id = rows.principals.idOf(principal);
      const parentId = parents.idOf(parent);
      if (id === undefined) return [];
      const ofPrincipal: Probe = (row) => rows.principalOf(row) - id;
      if (isPattern(parent)) {
        return groups.map(({ byPrincipal }) => sourceOf(byPrincipal, ofPrincipal, after));
      }
      if (parentId === undefined) return [];
      const ofBoth: Probe = (row) => ofPrincipal(row) || rows.parentOf(row) - parentId;
      return groups.map((group) => sourceOf(group.byPrincipalAndParent, ofBoth, after));
    }
    const parentIds = isPattern(parent) ? parents.matching(parent) : [parents.idOf(parent)];
    return groups.flatMap(({ byTime, byParent }) => {
      // If too many parents match, all rows are scanned.
      if (parentIds === undefined) return [sourceOf(byTime, () => 0, after)];
      return parentIds.flatMap((id) =>
        id === undefined ? [] : [sourceOf(byParent, (row) => rows.parentOf(row) - id, after)],
      );
    });
  };

  return (query) => {
    const { parent, principal, filter, limit, maxBytes = Number.POSITIVE_INFINITY } = query;
    const { least, most } = filter ? createTimeRange(filter) : anyTime;
    const sources = sourcesOf(query, earlier(query.after, most));
    const isWanted = wantedParents(parent);
    const found: OperationRecord[] = [];
    const copies = createPayloadCopies(copiedChunkWords);
    const timeMicros = nowMicros();
    let last: ListCursor | undefined;
    let bytes = 0;
    for (let scanned = 0; ; scanned += 1) {
      const source = newest(sources);
      const row = source?.row;
      if (source === undefined || row === undefined) return { records: found, next: undefined };
      if (rows.createTimeOf(row) < least) return { records: found, next: undefined };
      if (found.length === limit || scanned === maxScannedPerPage) {
        return { records: found, next: last };
      }
      const before = last;
      last = { createTimeMicros: rows.createTimeOf(row), name: rows.nameOf(row) };
      source.next();
      if (!rows.isVisibleAt(row, timeMicros) || !isWanted(rows.parentOf(row))) continue;
      const record = rows.read(row, copies);
      if (principal !== undefined && record.principal !== principal) continue;
      if (filter !== undefined && !matchesFilter(filter, record)) continue;
      bytes += listedBytesOf(record);
      if (found.length > 0 && bytes > maxBytes) return { records: found, next: before };
      found.push(record);
    }
  };

  /** Whether a parent is one of those that are listed, found out once for each in a page. */
  function wantedParents(pattern: string): (parent: number) => boolean {
    if (!isPattern(pattern)) return () => true;
    const known = new Map<number, boolean>();
    return (parent) => {
      const isWanted = known.get(parent) ?? matchesParent(parents.textOf(parent), pattern);
      known.set(parent, isWanted);
      return isWanted;
    };
  }

  /** The source that comes next in the merged order. */
  function newest(sources: readonly Source[]): Source | undefined {
    let first: Source | undefined;
    for (const source of sources) {
      if (source.row === undefined) continue;
      if (
        first?.row === undefined ||
        rows.createTimeOf(source.row) > rows.createTimeOf(first.row)
      ) {
        first = source;
      }
    }
    return first;
  }
}

/** The rows of a walk for as long as they are in its range. */
function sourceFrom(walk: Walk, isInRange: (row: number) => boolean): Source {
  const take = () => {
    const row = walk();
    return row !== undefined && isInRange(row) ? row : undefined;
  };
  return {
    row: take(),
    next() {
      this.row = take();
    },
  };
}

function isPattern(parent: string): boolean {
  return parent.split("/").includes("-");
}

/** Where a list goes on: after the cursor, and not before the newest that can match. */
function earlier(after: ListCursor | undefined, mostMicros: number): ListCursor | undefined {
  if (mostMicros === Number.POSITIVE_INFINITY) return after;
  // No name sorts before the empty one, so all rows of `mostMicros` come after this key.
  const newest = { createTimeMicros: mostMicros + 1, name: "" };
  return after === undefined || after.createTimeMicros > mostMicros ? newest : after;
}
