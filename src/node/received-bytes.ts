import { requestsTooLarge } from "./errors.js";
import type { ResolvedLimits } from "./server-limits.js";

/**
 * Counts the bytes of requests that are not whole yet, per connection and of the whole server:
 * handlers collect them before they begin.
 */
export interface ReceivedBytes {
  /**
   * Counts bytes that came; they count until they are removed.
   *
   * @param connection Any object that stands for it; undefined once the connection is gone.
   * @throws ConnectError RESOURCE_EXHAUSTED if there are more than the limits permit.
   */
  add(connection: object | undefined, bytes: number): void;
  remove(connection: object | undefined, bytes: number): void;
}

export function createReceivedBytes(limits: ResolvedLimits): ReceivedBytes {
  const { maxConnectionRequestBytes, maxRequestBytes } = limits;
  const ofConnections = new WeakMap<object, number>();
  let all = 0;
  const change = (connection: object | undefined, bytes: number): number => {
    all += bytes;
    if (connection === undefined) return 0;
    const ofConnection = (ofConnections.get(connection) ?? 0) + bytes;
    ofConnections.set(connection, ofConnection);
    return ofConnection;
  };
  return {
    add(connection, bytes) {
      const ofConnection = change(connection, bytes);
      if (ofConnection > maxConnectionRequestBytes) {
        throw requestsTooLarge("connection", maxConnectionRequestBytes);
      }
      if (all > maxRequestBytes) throw requestsTooLarge("server", maxRequestBytes);
    },
    remove(connection, bytes) {
      if (bytes > 0) change(connection, -bytes);
    },
  };
}
