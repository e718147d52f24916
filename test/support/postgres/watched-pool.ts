import type { PostgresPool } from "../../../src/store/postgres/index.js";

/**
 * A pool that calls `before` ahead of each statement: an error of `before` replaces that of
 * the driver, and its promise delays the statement.
 */
export function watchedPool(
  pool: PostgresPool,
  before: (text: string, values: unknown[]) => Promise<void> | void,
): PostgresPool {
  return {
    async query(text, values) {
      await before(text, values);
      return pool.query(text, values);
    },
    async connect() {
      const client = await pool.connect();
      return {
        async query(text, values) {
          await before(text, values);
          return client.query(text, values);
        },
        release: (destroy) => client.release(destroy),
        on: (event, listener) => client.on(event, listener),
        removeListener: (event, listener) => client.removeListener(event, listener),
      };
    },
  };
}

/** The first word of a statement. */
export function verbOf(text: string): string {
  return text.trim().split(/\s/, 1)[0]?.toLowerCase() ?? "";
}
