import type { Operation } from "../../protos.js";
import type { CaseRun } from "../case-run.js";
import { isStatus } from "../rpc-code.js";
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

/** Times of the budget after which a loop is stopped. */
const mostTimes = 3;

/**
 * Resolves with the loop's end. Fails the case if the loop does not end in the time after
 * `fromMs`. Like a call, the loop continues until its lateness exceeds twice the delay of the event
 * loop, and is stopped then.
 */
export async function loopEnd(
  run: CaseRun,
  loop: WaitLoop,
  fromMs: number,
  withinMs: number,
  expected: string,
): Promise<Answer<Operation>> {
  const delay = run.subject.loopDelay.begin();
  const lateMs = () => performance.now() - fromMs - withinMs;
  try {
    for (;;) {
      const pauseMs = Math.max(run.budgets.slackMs, run.budgets.slackMs - lateMs());
      const ended = await Promise.race([loop.end, run.sleep(pauseMs).then(() => undefined)]);
      const late = ended === undefined ? lateMs() : ended.endMs - fromMs - withinMs;
      if (ended !== undefined && late <= 0) return ended;
      const isOver = late >= 2 * delay.totalMs() || late >= mostTimes * withinMs;
      if (ended !== undefined || isOver) {
        const actual = ended === undefined ? "no answer" : `an answer ${Math.round(late)} ms later`;
        throw run.late(late, expected, actual, delay);
      }
    }
  } finally {
    delay.end();
    loop.stop();
  }
}

/** Whether the server refuses a waiter for its load. */
export function isRefusedForLoad(answer: Answer): boolean {
  return isStatus(answer, "RESOURCE_EXHAUSTED") || isStatus(answer, "UNAVAILABLE");
}

/**
 * Polls GetOperation until the operation is done, and returns the arrival time of that response.
 */
export async function doneAt(run: CaseRun, name: string, withinMs: number): Promise<number> {
  const endMs = await run.poll(withinMs, async () => {
    const answer = await run.get(name);
    return answer.message?.done ? answer.endMs : undefined;
  });
  if (endMs === undefined) run.notExercised(`"${name}" did not come to its end in time`);
  return endMs;
}
