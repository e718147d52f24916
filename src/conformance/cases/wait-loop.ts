import type { Operation } from "../../protos.js";
import { type CaseRun, isStatus } from "../case-run.js";
import type { Answer } from "../subject.js";

/** Pause before a Wait that is repeated after an early answer, as a share of the slack. */
const pauseShare = 20;

/** A loop of WaitOperation calls. */
export interface WaitLoop {
  /** Answer that ended the loop: done, or not OK. */
  readonly end: Promise<Answer<Operation>>;
  /** Aborts the loop. */
  stop(): void;
}

/**
 * Calls WaitOperation until an answer is done or is not OK. Each call asks for half of the
 * case's time.
 */
export function startWaitLoop(run: CaseRun, name: string, isolated = false): WaitLoop {
  const stopped = new AbortController();
  const loop = async (): Promise<Answer<Operation>> => {
    for (;;) {
      const timeoutMs = run.budgets.caseMs / 2;
      const answer = await run.wait(name, timeoutMs, { signal: stopped.signal, isolated });
      if (answer.message === undefined || answer.message.done) return answer;
      await run.sleep(run.budgets.slackMs / pauseShare);
    }
  };
  const end = loop();
  end.catch(() => undefined);
  return { end, stop: () => stopped.abort() };
}

/**
 * Resolves with the loop's end. Fails the case if the loop does not end in the time after
 * `fromMs`. The loop continues for half of that time, which distinguishes a slow runner from a
 * slow server, and is stopped then.
 */
export async function loopEnd(
  run: CaseRun,
  loop: WaitLoop,
  fromMs: number,
  withinMs: number,
  expected: string,
): Promise<Answer<Operation>> {
  const timer = run
    .sleep(Math.max(0, fromMs + 1.5 * withinMs - performance.now()))
    .then(() => undefined);
  try {
    const ended = await Promise.race([loop.end, timer]);
    if (ended === undefined) throw run.late(withinMs / 2, expected, "no answer");
    const lateMs = ended.endMs - fromMs - withinMs;
    if (lateMs > 0) throw run.late(lateMs, expected, `an answer ${Math.round(lateMs)} ms later`);
    return ended;
  } finally {
    loop.stop();
  }
}

/** Whether the server refuses a waiter for its load. */
export function isRefusedForLoad(answer: Answer): boolean {
  return isStatus(answer, "RESOURCE_EXHAUSTED") || isStatus(answer, "UNAVAILABLE");
}

/** Polls GetOperation until the operation is done; returns when that answer arrived. */
export async function doneAt(run: CaseRun, name: string, withinMs: number): Promise<number> {
  const endMs = await run.poll(withinMs, async () => {
    const answer = await run.get(name);
    return answer.message?.done ? answer.endMs : undefined;
  });
  if (endMs === undefined) run.notExercised(`"${name}" did not come to its end in time`);
  return endMs;
}
