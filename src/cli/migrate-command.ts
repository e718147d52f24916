import { Command } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "commander";
import type { CommandContext } from "./command-context.js";
import { databaseUrlOption } from "./database-url.js";
import { noDatabaseUrl, storeNotOpened } from "./errors.js";
import { exitCodes } from "./exit-codes.js";

/** How long a connection may take, in milliseconds. */
const connectionTimeoutMillis = 5000;

/** `longrunning migrate`: migrates a PostgreSQL database to the current schema, or prints the script. */
export function migrateCommand(context: CommandContext, exit: (code: number) => void) {
  const { out } = context.terminal;
  return new Command("migrate")
    .summary("migrate a PostgreSQL database to the current schema")
    .description(
      "Migrate the operations in a PostgreSQL database to the current schema: all missing " +
        "steps or none. `serve` and `connectPostgres` do so by themselves; this is for programs " +
        "that may not. The schema of the queue is pg-boss's, which has a command of its own. " +
        "It wants the package pg.",
    )
    .addOption(databaseUrlOption("postgres://user:password@host:port/database"))
    .option("--schema <name>", "the schema of the operations", "longrunning")
    .option("--print", "print the statements as a script, and touch no database")
    .option(
      "--from <version>",
      "with --print: the version that the database has (default: 0, none)",
      parseVersion,
    )
    .addHelpText("after", "\nExample:\n  longrunning migrate --print | psql service\n")
    .action(async ({ databaseUrl, schema, print, from }) => {
      const { migrate, migrationScript } = await import("../store/postgres/index.js");
      try {
        if (print) {
          out.write(migrationScript({ schema, from }));
        } else {
          if (databaseUrl === undefined) throw noDatabaseUrl();
          const steps = await onDatabase(databaseUrl, (pool) => migrate(pool, { schema }));
          for (const { version, name } of steps) out.write(`migrated to ${version}: ${name}\n`);
          if (steps.length === 0) out.write("the database is up to date\n");
        }
      } catch (cause) {
        throw storeNotOpened("--database-url", cause);
      }
      exit(exitCodes.success);
    });
}

async function onDatabase<T>(
  connectionString: string,
  work: (pool: import("pg").Pool) => Promise<T>,
): Promise<T> {
  const { default: pg } = await import("pg");
  const pool = new pg.Pool({ connectionString, connectionTimeoutMillis, max: 1 });
  // A lost connection makes its statement fail. Without a listener, the pool's "error" event would
  // end the program.
  pool.on("error", () => undefined);
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

function parseVersion(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}
