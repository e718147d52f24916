import type { CallOptions } from "../case-calls.js";
import type { Started } from "../case-operations.js";
import type { CaseRun, Walk } from "../case-run.js";
import { needOf } from "../starts.js";

/** The operations that the cases of lists share: three done and one running, of one parent. */
export interface Listed {
  readonly done: readonly Started[];
  readonly running: readonly Started[];
  readonly names: ReadonlySet<string>;
}

const doneCount = 3;

/** Starts the operations, once for a subject. */
export function listed(run: CaseRun): Promise<Listed> {
  const key = "listed";
  const found = run.subject.shared.get(key);
  // Only this function stores a value under the key.
  if (found !== undefined) return found as Promise<Listed>;
  const starting = startListed(run);
  run.subject.shared.set(key, starting);
  starting.catch(() => run.subject.shared.delete(key));
  return starting;
}

async function startListed(run: CaseRun): Promise<Listed> {
  const done: Started[] = [];
  const running: Started[] = [];
  if (needOf(run.subject, "succeeds") !== undefined || needOf(run.subject, "fails") !== undefined) {
    while (done.length < doneCount) done.push(await run.done());
  }
  if (needOf(run.subject, "runsUntilCancelled") !== undefined) {
    const started = await run.running("runsUntilCancelled");
    run.keep(started);
    running.push(started);
  }
  if (done.length + running.length === 0) {
    run.notExercised('declare the need "succeeds", "fails" or "runsUntilCancelled"');
  }
  return { done, running, names: new Set([...done, ...running].map(({ name }) => name)) };
}

/** Most operations that are walked in pages of two. */
const maxSmallWalk = 60;

/** Lists the operations in small pages if the list is short. */
export async function walkInPages(run: CaseRun, options: CallOptions = {}): Promise<Walk> {
  const whole = await run.walk({}, options);
  const pageSize = whole.operations.length <= maxSmallWalk ? 2 : 100;
  return run.walk({ pageSize }, options);
}
