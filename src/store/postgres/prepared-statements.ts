import { sqlState } from "./database-error.js";
import { databaseUnavailable } from "./postgres-errors.js";
import {
  guardPool,
  type PostgresClient,
  type PostgresPool,
  type QueryResult,
} from "./postgres-pool.js";

/** A statement that the server is to keep planned under its name, for the connection. */
interface NamedStatement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

/** A connection that runs such statements. One of `pg` is one. */
export interface PreparingClient extends PostgresClient {
  query(text: string, values: unknown[]): Promise<QueryResult>;
  query(statement: NamedStatement): Promise<QueryResult>;
}

/** A pool of such connections. A `Pool` of `pg` is one. */
export interface PreparingPool {
  query(text: string, values: unknown[]): Promise<QueryResult>;
  query(statement: NamedStatement): Promise<QueryResult>;
  connect(): Promise<PreparingClient>;
  on?: PostgresPool["on"];
}

/** From which sighting on a text has a name, of how many texts that is counted, and how many have one. */
const namedFrom = 5;
const maxCounted = 1000;
const maxNamed = 100;

/**
 * What shows that a connection is not its own, or that a plan does not fit any more: a statement of this name is
 * not there, or there already; "cached plan must not change result type".
 */
const notKept: ReadonlySet<string> = new Set(["26000", "42P05", "0A000"]);

/**
 * A pool whose statements are planned once a connection, where they come again and again:
 * planning is a third of what a small one costs. A pooler in transaction mode may not keep them:
 * at the first sign of that nothing has a name any more.
 */
export function preparing(pool: PreparingPool): PostgresPool {
  guardPool(pool);
  const sightings = new Map<string, number>();
  const names = new Map<string, string>();
  // No other process has such names: behind a pooler its session may be ours by now, and where a
  // name of ours were that of its statement, it is that one that would be run.
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
    // One without parameters may be several, which cannot have a name.
    const name = values.length === 0 ? undefined : nameOf(text);
    if (name === undefined) return on.query(text, values);
    try {
      return await on.query({ name, text, values });
    } catch (cause) {
      if (!notKept.has(sqlState(cause) ?? "")) throw cause;
      isOff = true;
      // A transaction is over by that. Whoever tries it again has no such trouble any more.
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
