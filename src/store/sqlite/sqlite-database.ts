import { isRow, type Row } from "../sql/row.js";
import type { SqliteConnection, SqliteStatement, SqliteValue } from "./sqlite-driver.js";

/** Statements on one connection. All methods throw the errors of the driver. */
export interface SqliteDatabase {
  rows(text: string, ...values: SqliteValue[]): Row[];
  /** How many rows were written. */
  write(text: string, ...values: SqliteValue[]): number;
  /** Run what is not worth keeping prepared. */
  execute(text: string): void;
  /** All of `work` or nothing: it throws what `work` throws, which is undone then. */
  atomically<T>(work: () => T): T;
  close(): void;
}

/** How many different statements are kept prepared; the store's own are some thirty. */
const maxPrepared = 200;

/** An empty array whose buffer is not: node:sqlite of Node 22 binds NULL for an empty buffer. */
const noBytes = new Uint8Array(new ArrayBuffer(1), 0, 0);

/** Replaces empty arrays by one that every driver binds as an empty BLOB. */
function bindable(values: SqliteValue[]): SqliteValue[] {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (value instanceof Uint8Array && value.length === 0) values[index] = noBytes;
  }
  return values;
}

export function createSqliteDatabase(connection: SqliteConnection): SqliteDatabase {
  const prepared = new Map<string, SqliteStatement>();

  const prepare = (text: string): SqliteStatement => {
    const known = prepared.get(text);
    if (known !== undefined) return known;
    const statement = connection.prepare(text);
    if (prepared.size >= maxPrepared) prepared.clear();
    prepared.set(text, statement);
    return statement;
  };
  const write = (text: string, ...values: SqliteValue[]) =>
    Number(prepare(text).run(...bindable(values)).changes);

  return {
    rows: (text, ...values) =>
      prepare(text)
        .all(...bindable(values))
        .filter(isRow),
    write,
    execute: (text) => {
      connection.exec(text);
    },
    atomically(work) {
      write("savepoint step");
      try {
        const result = work();
        write("release step");
        return result;
      } catch (cause) {
        write("rollback to step");
        write("release step");
        throw cause;
      }
    },
    close() {
      prepared.clear();
      connection.close();
    },
  };
}
