import { Command } from "@commander-js/extra-typings";
import { CommanderError } from "commander";
import type { OperationsOperator } from "../store/index.js";
import { tellFailure } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { databaseUrlOption } from "./database-url.js";
import { noOperatorPlace, storeNotOpened, twoStores } from "./errors.js";
import { failureOf } from "./failure.js";
import { openSqliteOperator } from "./sqlite-operator-client.js";

/** Makes a sub-command that reads the database, with the options that all of them share. */
export function operatorCommand(name: string) {
  return new Command(name)
    .addOption(
      databaseUrlOption("the PostgreSQL database: postgres://user:password@host:port/database"),
    )
    .option("--data <file>", "the SQLite file, through the server that has it open")
    .option("--schema <name>", "with --database-url: the schema of the operations", "longrunning")
    .option(
      "--queue-schema <name>",
      "with --database-url: the schema of the queue (default: that of the operations with _queue behind it)",
    )
    .option("--json", "print JSON for machines");
}

/** The options of a command that `operatorCommand` made. */
export type OperatorArguments = ReturnType<ReturnType<typeof operatorCommand>["opts"]>;

/** How long a connection may take, and a statement, in milliseconds. */
const connectionTimeoutMillis = 5000;
const statementTimeoutMs = 60_000;

/**
 * Runs a sub-command's work on the database, and closes the connections. Errors are written to
 * standard error.
 *
 * @returns The exit code: the result of `work`, or the code of the error that it throws.
 */
export async function withOperator(
  context: CommandContext,
  options: OperatorArguments,
  command: { getOptionValueSource(name: "databaseUrl"): string | undefined },
  work: (operator: OperationsOperator) => Promise<number>,
): Promise<number> {
  const { data, databaseUrl } = options;
  if (data === undefined && databaseUrl === undefined) throw noOperatorPlace();
  if (data !== undefined) {
    if (databaseUrl !== undefined && command.getOptionValueSource("databaseUrl") !== "env") {
      throw twoStores();
    }
    return reportingFailures(context, async () => work(await openSqliteOperator(data)));
  }
  return reportingFailures(context, () => onPostgres(databaseUrl ?? "", options, work));
}

async function onPostgres(
  connectionString: string,
  { schema, queueSchema }: OperatorArguments,
  work: (operator: OperationsOperator) => Promise<number>,
): Promise<number> {
  let close = async () => {};
  try {
    const { createPostgresOperator } = await import("../store/postgres/index.js");
    const { default: pg } = await import("pg");
    const pool = new pg.Pool({
      ...{ connectionString, connectionTimeoutMillis, max: 3 },
      ...{ query_timeout: statementTimeoutMs, application_name: "connect-longrunning-command" },
    });
    // A lost connection makes its statement fail. Without a listener, the pool's "error" event
    // would end the program.
    pool.on("error", () => undefined);
    close = () => pool.end();
    return await work(await createPostgresOperator({ pool, schema, queueSchema }));
  } catch (cause) {
    throw storeNotOpened("--database-url", cause);
  } finally {
    await close();
  }
}

async function reportingFailures(
  context: CommandContext,
  work: () => Promise<number>,
): Promise<number> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof CommanderError) throw cause;
    const failure = failureOf(cause, "");
    tellFailure(context, failure);
    return failure.exitCode;
  }
}
