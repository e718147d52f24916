/** The result of a statement. */
export interface QueryResult {
  readonly rows: unknown[];
  /** The command that the server executed: `ROLLBACK` for the commit of a failed transaction. */
  readonly command?: string | undefined;
}

/** A part of a driver that emits errors. */
interface ErrorSource {
  /** An `error` event without a listener ends the process. */
  on(event: "error", listener: (cause: Error) => void): unknown;
}

/** A connection of a pool. A client of `pg` fits. */
export interface PostgresClient extends ErrorSource {
  query(text: string, values: unknown[]): Promise<QueryResult>;
  /** Returns the connection to its pool; with true the pool closes it, because its state is unknown. */
  release(destroy?: boolean): void;
  removeListener(event: "error", listener: (cause: Error) => void): unknown;
}

/**
 * A pool of connections, in the smallest form that the store can use. A `Pool` of `pg` fits. It
 * should limit its wait for a connection and for a response (`connectionTimeoutMillis`,
 * `query_timeout`).
 */
export interface PostgresPool {
  query(text: string, values: unknown[]): Promise<QueryResult>;
  connect(): Promise<PostgresClient>;
  /**
   * Called when the pool hands out a connection, and when it loses an idle one. The store adds
   * its listeners here, so that a lost connection does not end the process. Absent: the pool's
   * owner adds them, on each connection before it is handed out.
   */
  on?(event: "acquire", listener: (client: ErrorSource) => void): unknown;
  on?(event: "error", listener: (cause: Error) => void): unknown;
}

/** A separate connection for notifications. A `Client` of `pg` that is not connected yet fits. */
export interface PostgresListenClient {
  connect(): Promise<unknown>;
  query(text: string, values: unknown[]): Promise<QueryResult>;
  on(
    event: "notification",
    listener: (message: { channel: string; payload?: string | undefined }) => void,
  ): unknown;
  on(event: "error", listener: (cause: Error) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  end(): Promise<void>;
}

const guardedPools = new WeakSet<PostgresPool>();

/**
 * Gives each connection of a pool a listener for errors, once. pg-pool listens only on idle
 * connections. It removes its listener when it hands a connection out, but the caller gets the
 * connection in a later microtask. The statement that the caller then sends fails, so the error
 * itself needs no reaction.
 */
export function guardPool(pool: PostgresPool): void {
  if (pool.on === undefined || guardedPools.has(pool)) return;
  guardedPools.add(pool);
  const guardedClients = new WeakSet<ErrorSource>();
  pool.on("error", () => undefined);
  pool.on("acquire", (client) => {
    if (guardedClients.has(client)) return;
    guardedClients.add(client);
    client.on("error", () => undefined);
  });
}
