/** A queue of values of several tenants, which take turns. */
export interface FairQueue<T> {
  /** How many are in line. */
  size(): number;
  put(tenant: string, value: T): void;
  /** Removes the first value of the tenant whose turn it is; undefined if the queue is empty. */
  take(): T | undefined;
}

/**
 * Creates a queue that takes one value of each tenant before the second value of any tenant (round
 * robin).
 */
export function createFairQueue<T>(): FairQueue<T> {
  const lines = new Map<string, Line<T>>();
  const turns = createLine<{ tenant: string; values: Line<T> }>();
  let size = 0;
  return {
    size: () => size,
    put(tenant, value) {
      size += 1;
      let values = lines.get(tenant);
      if (values === undefined) {
        values = createLine();
        lines.set(tenant, values);
        turns.push({ tenant, values });
      }
      values.push(value);
    },
    take() {
      const turn = turns.shift();
      if (turn === undefined) return undefined;
      size -= 1;
      const value = turn.values.shift();
      if (turn.values.isEmpty()) lines.delete(turn.tenant);
      else turns.push(turn);
      return value;
    },
  };
}

/** First in, first out. */
interface Line<T> {
  push(value: T): void;
  shift(): T | undefined;
  isEmpty(): boolean;
}

/** A linked list: an array's `shift` moves all the others, which are up to 100,000. */
function createLine<T>(): Line<T> {
  interface Link {
    readonly value: T;
    next: Link | undefined;
  }
  let first: Link | undefined;
  let last: Link | undefined;
  return {
    push(value) {
      const link: Link = { value, next: undefined };
      if (last === undefined) first = link;
      else last.next = link;
      last = link;
    },
    shift() {
      const taken = first;
      first = taken?.next;
      if (first === undefined) last = undefined;
      return taken?.value;
    },
    isEmpty: () => first === undefined,
  };
}
