import { sqlState } from "./database-error.js";
import { databaseUnavailable } from "./postgres-errors.js";
import {
  guardPool,
  type PostgresClient,
  type PostgresPool,
  type QueryResult,
} from "./postgres-pool.js";

/** A statement that the server keeps prepared under its name, for the connection. */
interface NamedStatement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

/** A connection that runs prepared statements. A client of `pg` fits. */
export interface PreparingClient extends PostgresClient {
  query(text: string, values: unknown[]): Promise<QueryResult>;
  query(statement: NamedStatement): Promise<QueryResult>;
}

/** A pool of connections that run prepared statements. A `Pool` of `pg` fits. */
export interface PreparingPool {
  query(text: string, values: unknown[]): Promise<QueryResult>;
  query(statement: NamedStatement): Promise<QueryResult>;
  connect(): Promise<PreparingClient>;
  on?: PostgresPool["on"];
}

/** After how many executions a text gets a name, how many texts are counted, and how many get one. */
const namedFrom = 5;
const maxCounted = 1000;
const maxNamed = 100;

/**
 * SQLSTATEs of a session that other clients share, or of a plan that is out of date: the named
 * statement does not exist or exists already; "cached plan must not change result type".
 */
const notKept: ReadonlySet<string> = new Set(["26000", "42P05", "0A000"]);

/**
 * Returns a pool that prepares repeated statements, once for each connection, because planning is a
 * third of the cost of a small statement. A pooler in transaction mode may not keep prepared
 * statements: after the first such error none is prepared.
 */
export function withPreparedStatements(pool: PreparingPool): PostgresPool {
  guardPool(pool);
  const sightings = new Map<string, number>();
  const names = new Map<string, string>();
  // The prefix is unique to this process. Behind a pooler, another process may have used the
  // session, and the server would execute that process's statement of the same name.
  const prefix = `lr-${crypto.randomUUID()}`;
  let isOff = false;

  const nameOf = (text: string): string | undefined => {
    if (isOff) return undefined;
    const known = names.get(text);
    if (known !== undefined || names.size >= maxNamed) return known;
    const seen = (sightings.get(text) ?? 0) + 1;
    if (seen < namedFrom) {
      if (sightings.size >= maxCounted) sightings.clear();
      sightings.set(text, seen);
      return undefined;
    }
    sightings.delete(text);
    const name = `${prefix}-${names.size + 1}`;
    names.set(text, name);
    return name;
  };

  const query = async (
    on: Pick<PreparingPool, "query">,
    text: string,
    values: unknown[],
  ): Promise<QueryResult> => {
    // A query without parameters may contain several statements, which cannot be prepared together.
    const name = values.length === 0 ? undefined : nameOf(text);
    if (name === undefined) return on.query(text, values);
    try {
      return await on.query({ name, text, values });
    } catch (cause) {
      if (!notKept.has(sqlState(cause) ?? "")) throw cause;
      isOff = true;
      // The error ends the transaction. The caller's next try does not use prepared statements.
      if (on !== pool) throw databaseUnavailable(cause);
      return on.query(text, values);
    }
  };

  return {
    query: (text, values) => query(pool, text, values),
    async connect() {
      const client = await pool.connect();
      return {
        query: (text, values) => query(client, text, values),
        release: (destroy) => client.release(destroy),
        on: (event, listener) => client.on(event, listener),
        removeListener: (event, listener) => client.removeListener(event, listener),
      };
    },
  };
}
