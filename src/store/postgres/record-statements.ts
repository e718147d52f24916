import type {
  Claim,
  GetOptions,
  OperationRecord,
  StoredResult,
  StoreOptions,
} from "../operation-store.js";
import { escapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { claimable, claimWrite } from "./claim-write.js";
import type { OperationTable } from "./operation-row.js";
import {
  createParameters,
  type GivenColumn,
  givenRows,
  isVisible,
  statementTime,
} from "./statement.js";
import { terminalWrite } from "./terminal-write.js";

/** Whether a statement waits for a row that another transaction has locked, or skips the row. */
export type LockedRows = "wait" | "skip locked";

/** One operation to claim. */
export interface ClaimItem {
  readonly name: string;
  /** Whether the checkpoint of a lost attempt is dropped. */
  readonly restartLost: boolean;
  /** The id of the process that claims it; undefined if it is not known. */
  readonly owner: string | undefined;
  /** The attempt that is lost; undefined: whichever runs. */
  readonly lostAttempt: number | undefined;
}

/** The end of one claimed operation. */
export interface FinishItem extends Claim {
  readonly result: StoredResult;
  /** New metadata; undefined: the stored metadata stays. */
  readonly metadata: Uint8Array | undefined;
}

export type RecordsByName = ReadonlyMap<string, OperationRecord>;

/**
 * Reads, claims and ends records, each by one statement for one record or for many, whose
 * names differ. Each resolves with the records that it found or changed.
 */
export interface RecordStatements {
  read(names: readonly string[], options?: GetOptions): Promise<RecordsByName>;
  claim(
    items: readonly ClaimItem[],
    lockedRows: LockedRows,
    options?: StoreOptions,
  ): Promise<RecordsByName>;
  finish(
    items: readonly FinishItem[],
    lockedRows: LockedRows,
    options?: StoreOptions,
  ): Promise<RecordsByName>;
}

/** A write to the rows `o` that are named by the rows `given`. */
interface RowWrite<Item> {
  readonly given: readonly GivenColumn<Item>[];
  /** The condition on rows that may be written. */
  readonly condition: string;
  readonly assignments: string;
}

const claims: RowWrite<ClaimItem> = {
  given: [
    ["name", "text", ({ name }) => escapeNul(name)],
    ["restart", "boolean", ({ restartLost }) => restartLost],
    ["owner", "text", ({ owner }) => owner],
    ["lost", "integer", ({ lostAttempt }) => lostAttempt],
  ],
  condition: claimable("coalesce(given.lost, o.attempt)"),
  assignments: claimWrite("given.restart", "given.owner"),
};

const ends: RowWrite<FinishItem> = {
  given: [
    ["name", "text", ({ name }) => escapeNul(name)],
    ["attempt", "integer", ({ attempt }) => attempt],
    ["kind", "text", ({ result }) => result.kind],
    ["value", "bytea", ({ result }) => result.value],
    ["metadata", "bytea", ({ metadata }) => metadata],
  ],
  condition: "(o.attempt = given.attempt and o.state = 'running')",
  assignments: `metadata = coalesce(given.metadata, o.metadata),
    ${terminalWrite({ kind: "given.kind", value: "given.value" })}`,
};

export function createRecordStatements({
  database,
  table,
  columns,
}: OperationTable): RecordStatements {
  const byName = async (
    text: string,
    values: readonly unknown[],
    options: StoreOptions | undefined,
  ): Promise<RecordsByName> => {
    const rows = await database.rows(text, values, options);
    return new Map(
      rows.map((row) => {
        const record = recordFromRow(row);
        return [record.name, record];
      }),
    );
  };

  const write = <Item>(
    { given, condition, assignments }: RowWrite<Item>,
    items: readonly Item[],
    lockedRows: LockedRows,
    options: StoreOptions | undefined,
  ): Promise<RecordsByName> => {
    const parameters = createParameters();
    const rows = givenRows(items, given, parameters);
    const isWaiting = lockedRows === "wait";
    // The expression is materialized, because a plan that evaluates it twice would lock other rows
    // the second time.
    const free = `with free as materialized (
      select given.* from ${table} o join ${rows} on o.name = given.name
      where ${condition} for update of o skip locked)`;
    return byName(
      `${isWaiting ? "" : free} update ${table} o set ${assignments}
      from ${isWaiting ? rows : "free as given"}, ${statementTime}
      where o.name = given.name and ${condition} returning ${columns}`,
      parameters.values,
      options,
    );
  };

  return {
    read: (names, options) =>
      byName(
        `select ${columns} from ${table} o where o.name = any($1::text[])
          ${options?.evenHidden ? "" : `and ${isVisible}`}`,
        [names.map(escapeNul)],
        options,
      ),
    claim: (items, lockedRows, options) => write(claims, items, lockedRows, options),
    finish: (items, lockedRows, options) => write(ends, items, lockedRows, options),
  };
}
