import { transactionUnsupported } from "../errors.js";
import type { StoreOptions } from "../operation-store.js";

/**
 * Runs an action in this process's memory: after the commit if there is a transaction, otherwise at
 * once.
 *
 * @throws ConnectError `FailedPrecondition` for a transaction that cannot tell when.
 */
export function afterCommit(
  options: StoreOptions | undefined,
  who: string,
  action: () => void,
): void {
  const { transaction } = options ?? {};
  if (transaction === undefined) action();
  else if (transaction.afterCommit !== undefined) transaction.afterCommit(action);
  else throw transactionUnsupported(who);
}
