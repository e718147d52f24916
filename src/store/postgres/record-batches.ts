import type { OperationRecord } from "../operation-store.js";
import { type Batcher, createBatcher } from "./batcher.js";
import { isRowLevelError } from "./database-error.js";
import type {
  ClaimItem,
  FinishItem,
  RecordStatements,
  RecordsByName,
} from "./record-statements.js";

/** Calls for single records. Each call is a separate transaction, as in `OperationStore`. */
export interface RecordCalls {
  get(name: string): Promise<OperationRecord | undefined>;
  claim(item: ClaimItem): Promise<OperationRecord | undefined>;
  finish(item: FinishItem): Promise<OperationRecord | undefined>;
}

/** The answer of a batched statement for one item; undefined: the item needs a statement of its own. */
type Answer = { readonly record: OperationRecord | undefined } | undefined;

/** A longer result gets a statement of its own, because statements have a limit of bytes. */
const maxBatchedBytes = 64 * 1024;

/**
 * Batches the calls that come at the same time into one statement: the round trip and the
 * planning cost more than the rows.
 *
 * A batched statement skips the rows that another transaction has locked, so that one locked
 * row does not delay the batch. The items that it did not write are executed again separately
 * by a statement that waits.
 */
export function createRecordBatches(statements: RecordStatements): RecordCalls {
  const reads = createBatcher<string, Answer>({
    async run(names) {
      if (names.length === 1) return [undefined];
      const found = await statements.read([...new Set(names)]);
      return names.map((name) => ({ record: found.get(name) }));
    },
  });
  const claims = createBatcher({
    run: writeBatch<ClaimItem>((items) => statements.claim(items, "skip locked")),
  });
  const ends = createBatcher({
    run: writeBatch<FinishItem>((items) => statements.finish(items, "skip locked")),
  });

  const recordOf = async <Item>(
    batcher: Batcher<Item, Answer>,
    item: Item,
    separately: () => Promise<OperationRecord | undefined>,
  ) => {
    const answer = await batcher.add(item);
    return answer === undefined ? separately() : answer.record;
  };

  return {
    get: (name) => recordOf(reads, name, async () => (await statements.read([name])).get(name)),
    claim: (item) =>
      recordOf(claims, item, async () => (await statements.claim([item], "wait")).get(item.name)),
    finish(item) {
      const separately = async () => (await statements.finish([item], "wait")).get(item.name);
      const bytes = item.result.value.length + (item.metadata?.length ?? 0);
      return bytes > maxBatchedBytes ? separately() : recordOf(ends, item, separately);
    },
  };
}

/**
 * Answers an item with undefined if it is the only one, if an earlier item has its name, if
 * its row was not written, or if one row may have failed the whole statement.
 */
function writeBatch<Item extends { readonly name: string }>(
  write: (items: readonly Item[]) => Promise<RecordsByName>,
): (items: readonly Item[]) => Promise<Answer[]> {
  return async (items) => {
    const first = new Map(items.toReversed().map((item) => [item.name, item]));
    if (first.size === 1) return items.map(() => undefined);
    try {
      const written = await write([...first.values()]);
      return items.map((item) => {
        const record = first.get(item.name) === item ? written.get(item.name) : undefined;
        return record && { record };
      });
    } catch (cause) {
      if (!isRowLevelError(cause)) throw cause;
      return items.map(() => undefined);
    }
  };
}
