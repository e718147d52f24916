/** Compares an id with a place: negative if the id comes before the place, positive if it comes after. */
export type Probe = (id: number) => number;

/**
 * Returns the next id at each call, and undefined at the end. The ids must not change between the
 * calls.
 */
export type Walk = () => number | undefined;

/**
 * Row numbers in an order that a comparison of the rows defines. Each call costs about the same for
 * a million numbers as for a thousand.
 */
export interface OrderedIds {
  add(id: number): void;
  /** Its place must be the one that it had when it was added. */
  remove(id: number): void;
  first(): number | undefined;
  /** Walks upwards from the first id that does not come before the place. */
  ascendFrom(place: Probe): Walk;
  /** Walks downwards from the last id that comes before the place. */
  descendBefore(place: Probe): Walk;
}

/** Ids side by side in memory: four bytes each, and none of the collector's business. */
interface Leaf {
  readonly ids: Uint32Array;
  size: number;
}

/**
 * One level of leaves under an array of them, and no tree: a million ids are some 4000
 * leaves, which an insert into that array moves in a microsecond, and there is one for
 * every 256 ids at most.
 */
const leafSize = 512;

/** @param compare A total order: 0 for one and the same id alone. */
export function createOrderedIds(compare: (one: number, other: number) => number): OrderedIds {
  const leaves: Leaf[] = [];
  /** The last leaf that went, for the next that comes first. */
  let emptied: Leaf | undefined;

  /** The first leaf whose last id does not come before the place; their number where all do. */
  const leafAt = (place: Probe) => {
    let low = 0;
    let high = leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (place(lastOf(leaves[middle])) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const addFirst = (id: number) => {
    const leaf = emptied ?? createLeaf([]);
    emptied = undefined;
    insertAt(leaf, 0, id);
    leaves.push(leaf);
  };

  const addToFull = (at: number, leaf: Leaf, index: number, id: number) => {
    // If the split is at the end, the left leaf stays full, because most ids are appended in order.
    const from = index === leafSize ? leafSize : leafSize / 2;
    const right = createLeaf(leaf.ids.subarray(from));
    leaf.size = from;
    leaves.splice(at + 1, 0, right);
    if (index >= from) insertAt(right, index - from, id);
    else insertAt(leaf, index, id);
  };

  return {
    add(id) {
      const place: Probe = (other) => compare(other, id);
      let at = leafAt(place);
      const before = leaves[at - 1];
      let leaf = leaves[at];
      let index = leaf === undefined ? 0 : indexIn(leaf, place);
      // An id between two leaves goes to the leaf that has room.
      if (index === 0 && before !== undefined && (leaf === undefined || before.size < leafSize)) {
        at -= 1;
        leaf = before;
        index = before.size;
      }
      if (leaf === undefined) addFirst(id);
      else if (leaf.size === leafSize) addToFull(at, leaf, index, id);
      else insertAt(leaf, index, id);
    },
    remove(id) {
      const place: Probe = (other) => compare(other, id);
      const at = leafAt(place);
      const leaf = leaves[at];
      const index = leaf === undefined ? 0 : indexIn(leaf, place);
      if (leaf?.ids[index] !== id || index >= leaf.size) throw new RangeError(`${id} is not there`);
      leaf.ids.copyWithin(index, index + 1, leaf.size);
      leaf.size -= 1;
      if (leaf.size === 0) {
        leaves.splice(at, 1);
        // If there are few ids, the last one is removed often.
        if (leaves.length === 0) emptied = leaf;
        return;
      }
      const next = leaves[at + 1];
      if (next === undefined || leaf.size + next.size > leafSize / 2) return;
      leaf.ids.set(next.ids.subarray(0, next.size), leaf.size);
      leaf.size += next.size;
      leaves.splice(at + 1, 1);
    },
    first: () => leaves[0]?.ids[0],
    ascendFrom(place) {
      let at = leafAt(place);
      let leaf = leaves[at];
      let index = leaf === undefined ? 0 : indexIn(leaf, place);
      return () => {
        if (leaf === undefined) return undefined;
        const id = leaf.ids[index];
        index += 1;
        if (index === leaf.size) {
          at += 1;
          leaf = leaves[at];
          index = 0;
        }
        return id;
      };
    },
    descendBefore(place) {
      let at = leafAt(place);
      let leaf = leaves[at];
      let index = leaf === undefined ? 0 : indexIn(leaf, place);
      return () => {
        if (index === 0) {
          at -= 1;
          leaf = leaves[at];
          index = leaf?.size ?? 0;
        }
        if (index === 0) return undefined;
        index -= 1;
        return leaf?.ids[index];
      };
    },
  };
}

function createLeaf(content: ArrayLike<number>): Leaf {
  const ids = new Uint32Array(leafSize);
  ids.set(content);
  return { ids, size: content.length };
}

function lastOf(leaf: Leaf | undefined): number {
  return leaf?.ids[leaf.size - 1] ?? 0;
}

/** Index of the first id that does not come before the place; the leaf's size where all do. */
function indexIn({ ids, size }: Leaf, place: Probe): number {
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (place(ids[middle] ?? 0) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insertAt(leaf: Leaf, index: number, id: number): void {
  leaf.ids.copyWithin(index + 1, index, leaf.size);
  leaf.ids[index] = id;
  leaf.size += 1;
}
