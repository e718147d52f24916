import { transactionUnsupported } from "../errors.js";
import type { StoreOptions } from "../operation-store.js";

/**
 * Do something in this process's memory now, or where there is a transaction once
 * that has committed.
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
