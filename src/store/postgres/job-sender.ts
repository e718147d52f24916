import type { Transaction } from "../operation-store.js";
import type { NewJob } from "./pg-boss-queue.js";

/** Puts jobs in a method's queue, in a transaction where there is one. */
export type SendJobs = (
  method: string,
  jobs: readonly NewJob[],
  transaction: Transaction | undefined,
) => Promise<void>;

/** The jobs of one statement, and what becomes of that. */
interface Gathered {
  readonly jobs: NewJob[];
  readonly sent: Promise<void>;
}

/**
 * Sends jobs one by one for whoever has one; what is sent at the same time in one
 * transaction and for one method goes by one statement.
 */
export function createJobSender(
  send: SendJobs,
): (method: string, job: NewJob, transaction: Transaction | undefined) => Promise<void> {
  const gatheredIn = new WeakMap<Transaction, Map<string, Gathered>>();
  return (method, job, transaction) => {
    if (transaction === undefined) return send(method, [job], undefined);
    const byMethod = gatheredIn.get(transaction) ?? new Map<string, Gathered>();
    gatheredIn.set(transaction, byMethod);
    const gathered = byMethod.get(method);
    if (gathered !== undefined) {
      gathered.jobs.push(job);
      return gathered.sent;
    }
    const jobs = [job];
    const sendAll = async () => {
      // All who have something to send now have done so by then.
      await undefined;
      byMethod.delete(method);
      await send(method, jobs, transaction);
    };
    const sent = sendAll();
    byMethod.set(method, { jobs, sent });
    return sent;
  };
}
