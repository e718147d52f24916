import type { ListCursor } from "../operation-store.js";

/** Index of the first key that does not lie before this one; the keys' number where all do. */
export function firstAtOrAfter(keys: readonly ListCursor[], key: ListCursor): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const probe = keys[middle];
    if (probe !== undefined && isBefore(probe, key)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether a key comes before another: by create time, then by name. */
export function isBefore(one: ListCursor, other: ListCursor): boolean {
  if (one.createTimeMicros !== other.createTimeMicros) {
    return one.createTimeMicros < other.createTimeMicros;
  }
  return one.name < other.name;
}
