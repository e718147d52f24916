/** What a statement gave. */
export interface QueryResult {
  readonly rows: unknown[];
  /** The command that was run, as the server tells it: `ROLLBACK` for a commit that was none. */
  readonly command?: string | undefined;
}

/** A connection out of a pool. One of `pg` is one. */
export interface PostgresClient {
  query(text: string, values: unknown[]): Promise<QueryResult>;
  /** Give it back; with true it is closed, as nobody knows what state it is in. */
  release(destroy?: boolean): void;
  /** Without a listener, a connection that is cut between two statements ends the program. */
  on(event: "error", listener: (cause: Error) => void): unknown;
  removeListener(event: "error", listener: (cause: Error) => void): unknown;
}

/**
 * A pool of connections, in the smallest form that the store can use. A `Pool` of `pg`
 * is one. It should have a limit to how long it waits for a connection and for an
 * answer (`connectionTimeoutMillis`, `query_timeout`), and somebody has to listen to its
 * `error` event, as everywhere with `pg`.
 */
export interface PostgresPool {
  query(text: string, values: unknown[]): Promise<QueryResult>;
  connect(): Promise<PostgresClient>;
}

/** A connection of its own to listen on. A `Client` of `pg` that is not connected yet is one. */
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
