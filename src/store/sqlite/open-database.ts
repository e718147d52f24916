import { ConnectError } from "@connectrpc/connect";
import { isRow, textOf } from "../sql/row.js";
import { assertApplicationId, migrate } from "./migrate.js";
import { prepareFile } from "./prepare-file.js";
import type { OpenSqlite, SqliteConnection } from "./sqlite-driver.js";
import {
  databaseDamaged,
  databaseError,
  databaseForeign,
  databaseInUse,
  databaseUnopenable,
  diskFull,
  resultCodeOf,
  resultCodes,
} from "./sqlite-errors.js";

/** An exclusive connection to a database of this version. */
export interface OpenDatabase {
  readonly connection: SqliteConnection;
  /** The one path of the file. */
  readonly file: string;
  /**
   * Closes the connection, so that this process can open the file again.
   *
   * @throws ConnectError if the lock cannot be released properly. The connection is closed anyway.
   */
  close(): void;
}

/**
 * The files that this process has open. SQLite uses locks of the operating system, which do not
 * exclude a second library, or a second copy of one, in the same process.
 */
const openPaths = new Set<string>();

/**
 * Opens a database file for this process alone. If the file does not exist, it is created, readable
 * by its owner only.
 *
 * @throws ConnectError FAILED_PRECONDITION if another process has the file, it cannot be opened, or
 *   another program wrote it.
 * @throws ConnectError RESOURCE_EXHAUSTED if the disk is full.
 * @throws ConnectError DATA_LOSS if the file is damaged.
 */
export async function openDatabase(
  path: string,
  open: OpenSqlite,
  isChecked: boolean,
): Promise<OpenDatabase> {
  const file = await prepareFile(path).catch((cause: unknown) => {
    throw databaseUnopenable(path, cause);
  });
  if (openPaths.has(file)) throw databaseInUse(path);
  openPaths.add(file);
  let connection: SqliteConnection | undefined;
  let isHeld = false;
  try {
    connection = open(file);
    connection.exec("pragma locking_mode = exclusive");
    assertApplicationId(connection, path);
    lockFile(connection);
    isHeld = true;
    migrate(connection);
    if (isChecked) check(connection, path);
  } catch (cause) {
    try {
      if (connection !== undefined) (isHeld ? unlockAndClose : closeUntouched)(connection);
    } catch {
      // The file was not open, or it cannot be written. The caller gets the first error.
    }
    openPaths.delete(file);
    throw openError(path, cause);
  }
  const opened = connection;
  return {
    connection: opened,
    file,
    close() {
      try {
        unlockAndClose(opened);
      } catch (cause) {
        throw databaseError(cause);
      } finally {
        openPaths.delete(file);
      }
    },
  };
}

/**
 * One flush to the disk for each commit, and none before it is over: WAL with
 * `synchronous=FULL`. In exclusive mode the lock is held as long as the connection is open;
 * it also spares the file of shared memory.
 */
function lockFile(connection: SqliteConnection): void {
  connection.exec("pragma journal_mode = wal");
  const [row] = connection.prepare("pragma journal_mode").all();
  const mode = isRow(row) ? textOf(row, "journal_mode") : "unknown";
  if (mode !== "wal") throw new Error(`the journal mode is ${mode}: WAL is not possible here`);
  connection.exec(`
    pragma synchronous = full;
    pragma journal_size_limit = ${64 * 1024 * 1024};
    pragma cache_size = -${32 * 1024};
    pragma trusted_schema = off;
    begin immediate;
    commit;
  `);
}

/**
 * Close a connection that may hold the lock. libsql leaves the file open, and locked, until
 * its statements are collected as garbage; out of WAL the lock can be given back before.
 */
function unlockAndClose(connection: SqliteConnection): void {
  try {
    connection.exec(`
      pragma journal_mode = delete;
      pragma locking_mode = normal;
      select 1 from sqlite_schema;
    `);
  } finally {
    connection.close();
  }
}

function check(connection: SqliteConnection, path: string): void {
  const [row] = connection.prepare("pragma quick_check(1)").all();
  const fault = isRow(row) ? textOf(row, "quick_check") : "no answer";
  if (fault !== "ok") throw databaseDamaged(path, fault);
}

function openError(path: string, cause: unknown): Error {
  if (cause instanceof ConnectError) return cause;
  switch (resultCodeOf(cause)) {
    case resultCodes.busy:
      return databaseInUse(path, cause);
    case resultCodes.notADatabase:
      return databaseForeign(path, "something else than a SQLite database", cause);
    case resultCodes.full:
      return diskFull(cause, path);
    case resultCodes.corrupt:
      return databaseDamaged(path, "SQLITE_CORRUPT");
    default:
      return databaseUnopenable(path, cause);
  }
}

/** Close a connection to what may be another's file, which stays as it is. */
function closeUntouched(connection: SqliteConnection): void {
  try {
    connection.exec("pragma locking_mode = normal; select 1 from sqlite_schema");
  } finally {
    connection.close();
  }
}
