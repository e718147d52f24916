import type { OpenSqlite } from "../../../src/store/sqlite/index.js";
import { loadDriver } from "../../../src/store/sqlite/load-driver.js";
import { drivers } from "./drivers.js";

/** A driver that reports each statement, and whose statements fail when a test wants them to. */
export interface FaultyDriver {
  readonly open: OpenSqlite;
  /** The statements that were run, in their order. */
  readonly statements: string[];
  /**
   * The next statement that starts with this text fails with this result code of SQLite;
   * `undoesAll`: after it has rolled the whole transaction back, as SQLite may do then.
   */
  failNext(start: string, resultCode: number, undoesAll?: boolean): void;
}

export async function createFaultyDriver(): Promise<FaultyDriver> {
  const openReal = await loadDriver(drivers[0]);
  const statements: string[] = [];
  let fault: { start: string; resultCode: number; undoesAll: boolean } | undefined;
  return {
    open(path) {
      const real = openReal(path);
      const note = (sql: string) => {
        statements.push(sql);
        if (fault === undefined || !sql.startsWith(fault.start)) return;
        const { resultCode, undoesAll } = fault;
        fault = undefined;
        if (undoesAll) real.exec("rollback");
        throw Object.assign(new Error("secret of the driver"), { errcode: resultCode });
      };
      return {
        exec(sql) {
          note(sql);
          return real.exec(sql);
        },
        prepare(sql) {
          const statement = real.prepare(sql);
          return {
            all(...values) {
              note(sql);
              return statement.all(...values);
            },
            run(...values) {
              note(sql);
              return statement.run(...values);
            },
          };
        },
        close: () => real.close(),
      };
    },
    statements,
    failNext(start, resultCode, undoesAll = false) {
      fault = { start, resultCode, undoesAll };
    },
  };
}
