import { systemClock } from "../../internal/clock.js";
import { settlesWithin } from "../../internal/settles-within.js";

/**
 * How long statements and connections have to end in order when the store closes, in
 * milliseconds. A server has a total of one second after its grace, and most of that belongs to
 * the work.
 */
const closeLimitMs = 150;

/** Resolves when all closings have settled, or after `closeLimitMs`. */
export async function closedInTime(closings: readonly Promise<unknown>[]): Promise<void> {
  const all = Promise.allSettled(closings).then(() => undefined);
  await settlesWithin(all, systemClock, closeLimitMs);
}

/** Closes the socket of a client of `pg`, whose `end` waits for a server that may not respond. */
export function destroyConnection(client: object): void {
  const stream = memberOf(memberOf(client, "connection"), "stream");
  const destroy = memberOf(stream, "destroy");
  if (typeof destroy === "function") destroy.call(stream);
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
