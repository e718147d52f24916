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
    Number(prepare(text).run(...values).changes);

  return {
    rows: (text, ...values) =>
      prepare(text)
        .all(...values)
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
