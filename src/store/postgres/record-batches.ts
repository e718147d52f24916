import type { Claim, OperationRecord, StoredResult } from "../operation-store.js";
import { escapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import type { Row } from "../sql/row.js";
import { type Batcher, createBatcher } from "./batcher.js";
import { claimWrite, isClaimable } from "./claim-write.js";
import { mayBeOfOne } from "./database-error.js";
import type { InsertParts } from "./insert-operation.js";
import { createParameters, isVisible, statementTime } from "./statement.js";
import { terminalWrite } from "./terminal-write.js";

/** What is done to single records, each call a transaction of its own. As in `OperationStore`. */
export interface RecordCalls {
  get(name: string): Promise<OperationRecord | undefined>;
  claim(name: string, restartLost: boolean): Promise<OperationRecord | undefined>;
  /** `metadata` undefined: it stays as it is. */
  finish(
    claim: Claim,
    result: StoredResult,
    metadata: Uint8Array | undefined,
  ): Promise<OperationRecord | undefined>;
}

/** What a statement for many said of one; undefined: it has to be asked on its own. */
type Answer = { readonly record: OperationRecord | undefined } | undefined;

type RecordsByName = ReadonlyMap<string, OperationRecord>;

interface ClaimItem {
  readonly name: string;
  readonly restartLost: boolean;
}

interface FinishItem extends Claim {
  readonly result: StoredResult;
  readonly metadata: Uint8Array | undefined;
}

/** A result of more bytes goes alone: together they would be more than a statement can have. */
const maxSharedBytes = 64 * 1024;

/**
 * The same calls, those that come at the same time by one statement: what they cost is
 * the round trip and the planning of it, and not the rows.
 *
 * A statement for many leaves rows out that somebody else has locked, as one would wait and all
 * with it. What it did not write goes by `alone`, which waits, and says why it did not.
 */
export function createRecordBatches(
  { database, table, columns }: InsertParts,
  alone: RecordCalls,
): RecordCalls {
  const recordsByName = (rows: readonly Row[]): RecordsByName =>
    new Map(
      rows.map((row) => {
        const record = recordFromRow(row);
        return [record.name, record];
      }),
    );

  /** Who reads needs no answer of another's: what is not found is not there. */
  const readAll = async (names: readonly string[]): Promise<Answer[]> => {
    if (names.length === 1) return [undefined];
    const rows = await database.rows(
      `select ${columns} from ${table} o where o.name = any($1::text[]) and ${isVisible}`,
      [[...new Set(names)].map(escapeNul)],
      undefined,
    );
    const found = recordsByName(rows);
    return names.map((name) => ({ record: found.get(name) }));
  };

  const claimAll = async (items: readonly ClaimItem[]): Promise<RecordsByName> => {
    const rows = await database.rows(
      `with free as materialized (
        select o.name, given.restart
        from ${table} o join unnest($1::text[], $2::boolean[]) as given (name, restart)
          on o.name = given.name
        where ${isClaimable} for update of o skip locked
      )
      update ${table} o set ${claimWrite("free.restart")} from free, ${statementTime}
      where o.name = free.name and ${isClaimable} returning ${columns}`,
      [items.map(({ name }) => escapeNul(name)), items.map(({ restartLost }) => restartLost)],
      undefined,
    );
    return recordsByName(rows);
  };

  const finishAll = async (items: readonly FinishItem[]): Promise<RecordsByName> => {
    const { add, values } = createParameters();
    const given = [
      `${add(items.map(({ name }) => escapeNul(name)))}::text[]`,
      `${add(items.map(({ attempt }) => attempt))}::integer[]`,
      `${add(items.map(({ result }) => result.kind))}::text[]`,
      `${add(items.map(({ result }) => result.value))}::bytea[]`,
      `${add(items.map(({ metadata }) => metadata ?? null))}::bytea[]`,
    ];
    const isHeld = "o.attempt = $attempt and o.state = 'running'";
    const rows = await database.rows(
      `with free as materialized (
        select given.* from ${table} o
        join unnest(${given.join(", ")}) as given (name, attempt, kind, value, metadata)
          on o.name = given.name
        where ${isHeld.replace("$attempt", "given.attempt")} for update of o skip locked
      )
      update ${table} o set metadata = coalesce(free.metadata, o.metadata),
        ${terminalWrite({ kind: "free.kind", value: "free.value" })}
      from free, ${statementTime}
      where o.name = free.name and ${isHeld.replace("$attempt", "free.attempt")}
      returning ${columns}`,
      values,
      undefined,
    );
    return recordsByName(rows);
  };

  const reads = createBatcher({ run: readAll });
  const claims = createBatcher({ run: writingTogether(claimAll) });
  const ends = createBatcher({ run: writingTogether(finishAll) });

  /** What the batch has answered, or else what `ask` does. */
  const recordOf = async <Item>(
    batcher: Batcher<Item, Answer>,
    item: Item,
    ask: () => Promise<OperationRecord | undefined>,
  ) => {
    const answer = await batcher.add(item);
    return answer === undefined ? ask() : answer.record;
  };

  return {
    get: (name) => recordOf(reads, name, () => alone.get(name)),
    claim: (name, restartLost) =>
      recordOf(claims, { name, restartLost }, () => alone.claim(name, restartLost)),
    finish(claim, result, metadata) {
      const ask = () => alone.finish(claim, result, metadata);
      const bytes = result.value.length + (metadata?.length ?? 0);
      return bytes > maxSharedBytes ? ask() : recordOf(ends, { ...claim, result, metadata }, ask);
    },
  };
}

/**
 * One item goes alone, and so does a second one of the same operation; all of them do, where one may have made
 * the statement fail.
 */
function writingTogether<Item extends { readonly name: string }>(
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
      if (!mayBeOfOne(cause)) throw cause;
      return items.map(() => undefined);
    }
  };
}
