import type { OperationFilter } from "../store/operation-store.js";
import { invalidField } from "./errors.js";

/** The longest filter that is read, in UTF-16 units. */
const maxFilterLength = 1024;

/**
 * Read a ListOperations filter (AIP-160). Of the language this much is
 * understood: nothing at all, `done = true` and `done = false`.
 *
 * @throws ConnectError `Code.InvalidArgument` for everything else.
 */
export function parseFilter(text: string): OperationFilter | undefined {
  const filter = text.trim();
  if (filter === "") return undefined;
  const match = filter.length <= maxFilterLength ? /^done\s*=\s*(true|false)$/.exec(filter) : null;
  if (match === null) {
    throw invalidField("filter", filter, 'must be empty, "done = true" or "done = false"');
  }
  return { kind: "done", value: match[1] === "true" };
}
