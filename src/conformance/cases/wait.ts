import type { ConformanceCase } from "../case.js";
import { endText } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { Absent } from "../failure.js";
import { isStatus } from "../rpc-code.js";
import { isCancelled } from "./cancel.js";
import { doneAt, isRefusedForLoad, loopEnd, startWaitLoop } from "./wait-loop.js";

/** Number of waiters for one operation. */
const waiters = 50;

/** 10,000 years, the longest google.protobuf.Duration. */
const longestSeconds = 315_576_000_000n;

export const waitCases: readonly ConformanceCase[] = [
  defineCase({
    id: "wait.done",
    level: "must",
    title: "WaitOperation of a done operation answers at once",
    sources: ["operations.proto WaitOperation: immediately returned"],
    needs: ["d"],
    each: true,
    async body(run: CaseRun) {
      const { answerMs, caseMs } = run.budgets;
      const { name } = await run.done();
      for (let times = 0; times < 3; times += 1) {
        const answer = await run.wait(name, caseMs / 2, { limitMs: answerMs });
        const operation = run.ok(
          answer,
          `WaitOperation of a done operation answers within ${answerMs} ms`,
        );
        run.check(operation.done, "an operation that is done", endText(operation));
      }
    },
  }),
  defineCase({
    id: "wait.bound",
    level: "must",
    title: "WaitOperation answers with OK when its timeout is over",
    sources: ["operations.proto WaitOperation: at most"],
    needs: ["r"],
    each: true,
    async body(run: CaseRun) {
      const { slackMs, answerMs } = run.budgets;
      const { name } = await run.running(run.kindFor("r"), { ms: run.budgets.caseMs / 2 });
      for (const timeoutMs of [slackMs, slackMs / 5]) {
        const answer = await run.wait(name, timeoutMs, { limitMs: timeoutMs + slackMs + answerMs });
        const expected = `OK for WaitOperation with a timeout of ${timeoutMs} ms, at most ${slackMs} ms late`;
        run.within(answer, timeoutMs + slackMs, expected);
        run.ok(answer, expected);
      }
    },
  }),
  defineCase({
    id: "wait.zero",
    level: "inferred",
    title: "WaitOperation with a timeout of zero answers at once",
    sources: ["operations.proto WaitOperationRequest.timeout"],
    needs: ["r"],
    each: true,
    async body(run: CaseRun) {
      const { name } = await run.running(run.kindFor("r"), { ms: run.budgets.caseMs / 2 });
      const limitMs = run.budgets.answerMs;
      run.ok(await run.wait(name, 0, { limitMs }), "OK at once for a timeout of 0 s");
      const answer = await run.waitSeconds(name, -1n, 0, { limitMs });
      if (!isStatus(answer, "INVALID_ARGUMENT")) {
        run.ok(answer, "OK at once, or INVALID_ARGUMENT, for a timeout of -1 s");
      }
    },
  }),
  defineCase({
    id: "wait.open",
    level: "must",
    title: "WaitOperation accepts a missing timeout and a huge one",
    sources: [
      "operations.proto WaitOperationRequest.timeout: left blank",
      "WaitOperation: greater",
    ],
    needs: ["r"],
    async body(run: CaseRun) {
      const deadlineMs = 2 * run.budgets.slackMs;
      const { name } = await run.running(run.kindFor("r"), { ms: run.budgets.caseMs / 2 });
      for (const [what, answer] of [
        [
          "without a timeout",
          await run.wait(name, undefined, { deadlineMs, limitMs: deadlineMs + 1 }),
        ],
        [
          "with a timeout of 10,000 years",
          await run.waitSeconds(name, longestSeconds, 0, { deadlineMs, limitMs: deadlineMs + 1 }),
        ],
      ] as const) {
        const isAccepted =
          answer.message !== undefined ||
          isStatus(answer, "DEADLINE_EXCEEDED") ||
          answer.fault?.kind === "deadline";
        run.check(
          isAccepted,
          `OK or DEADLINE_EXCEEDED for WaitOperation ${what} and a deadline of ${deadlineMs} ms`,
          answer.text,
        );
      }
    },
  }),
  defineCase({
    id: "wait.deadline",
    level: "should",
    title: "WaitOperation answers with OK before the call's deadline",
    sources: ["operations.proto WaitOperationRequest.timeout: shorter one"],
    needs: ["r"],
    // REST has no standard header for a deadline.
    protocols: ["grpc", "grpc-web", "connect", "connect-json"],
    async body(run: CaseRun) {
      const deadlineMs = 1.5 * run.budgets.slackMs;
      const { name } = await run.running(run.kindFor("r"), { ms: run.budgets.caseMs / 2 });
      const answer = await run.wait(name, run.budgets.caseMs, {
        deadlineMs,
        limitMs: deadlineMs + 1,
      });
      run.ok(answer, `OK before the call's deadline of ${deadlineMs} ms`);
    },
  }),
  defineCase({
    id: "wait.wakes",
    level: "must",
    title: "a held WaitOperation shows the end soon after GetOperation",
    sources: ["operations.proto WaitOperation"],
    needs: ["t"],
    async body(run: CaseRun) {
      const { slackMs, wakeMs, settleMs } = run.budgets;
      const { name } = await run.running("takes", { ms: slackMs });
      const loop = startWaitLoop(run, name);
      const atMs = await doneAt(run, name, slackMs + settleMs);
      const expected = `a held WaitOperation shows the end within ${wakeMs} ms of GetOperation`;
      const answer = await loopEnd(run, loop, atMs, wakeMs, expected);
      run.ok(answer, expected);
    },
  }),
  defineCase({
    id: "wait.fresh",
    level: "must",
    title: "WaitOperation answers with the latest state",
    sources: ["operations.proto WaitOperation: latest state"],
    needs: ["t"],
    async body(run: CaseRun) {
      const { slackMs, freshMs, settleMs } = run.budgets;
      const { name } = await run.running("takes", { ms: slackMs });
      const timeoutMs = 2 * slackMs + 2 * freshMs;
      const waiting = run.wait(name, timeoutMs, { limitMs: timeoutMs + settleMs });
      waiting.catch(() => undefined);
      const atMs = await doneAt(run, name, slackMs + settleMs);
      const answer = await waiting;
      const operation = run.ok(answer, "OK for WaitOperation");
      if (operation.done) return;
      if (answer.endMs < atMs + freshMs) {
        run.notExercised("WaitOperation answered too early to show it, which is allowed");
      }
      throw run.failure(
        `WaitOperation shows the end ${freshMs} ms after GetOperation showed it`,
        "an answer in which done is false",
      );
    },
  }),
  defineCase({
    id: "wait.unknown",
    level: "must",
    title: "WaitOperation of an unknown name is NOT_FOUND at once",
    sources: ["AIP-193 Permission Denied"],
    each: true,
    async body(run: CaseRun) {
      const { name, isGuess } = await run.unknownName();
      const { caseMs, answerMs } = run.budgets;
      const answer = await run.wait(name, caseMs / 2, { limitMs: answerMs });
      if (isGuess && isStatus(answer, "INVALID_ARGUMENT"))
        run.notExercised('declare "unknownName"');
      run.status(answer, ["NOT_FOUND"], `WaitOperation of the unknown name "${name}"`);
    },
  }),
  defineCase({
    id: "wait.dropped",
    level: "inferred",
    title: "a client that drops WaitOperation does not cancel the operation",
    sources: ["operations.proto CancelOperation"],
    needs: ["r"],
    each: true,
    async body(run: CaseRun) {
      const { slackMs } = run.budgets;
      const { name } = await run.running(run.kindFor("r"), { ms: run.budgets.caseMs / 2 });
      const dropped = new AbortController();
      const waiting = run.wait(name, run.budgets.caseMs / 2, {
        signal: dropped.signal,
        isolated: true,
      });
      await run.sleep(slackMs / 4);
      dropped.abort();
      await waiting;
      await run.sleep(slackMs / 2);
      const operation = run.ok(await run.get(name), `"${name}" is found`);
      run.check(!isCancelled(operation), `"${name}" is not cancelled`, endText(operation));
    },
  }),
  defineCase({
    id: "wait.many",
    level: "must",
    title: "50 waiters for one operation all see its end",
    sources: ["operations.proto WaitOperation"],
    needs: ["t"],
    async body(run: CaseRun) {
      const { slackMs, wakeMs, settleMs } = run.budgets;
      const { name } = await run.running("takes", { ms: slackMs });
      const loops = Array.from({ length: waiters }, (_, at) =>
        startWaitLoop(run, name, at % 10 === 9),
      );
      const atMs = await doneAt(run, name, slackMs + settleMs);
      const expected = `each of 50 waiters sees the end within ${wakeMs} ms of GetOperation`;
      const answers = await Promise.all(
        loops.map((loop) => loopEnd(run, loop, atMs, wakeMs, expected)),
      );
      const served = answers.filter((answer) => !isRefusedForLoad(answer));
      run.check(served.length > 0, "an answer for some of 50 waiters", "all were refused");
      for (const answer of served) run.ok(answer, expected);
    },
  }),
  defineCase({
    id: "wait.holds",
    level: "may",
    title: "WaitOperation is held until its timeout",
    sources: ["operations.proto WaitOperation: including immediately"],
    needs: ["r"],
    async body(run: CaseRun) {
      const { slackMs } = run.budgets;
      const { name } = await run.running(run.kindFor("r"), { ms: run.budgets.caseMs / 2 });
      const answer = await run.wait(name, slackMs);
      const tookMs = answer.endMs - answer.startMs;
      if (tookMs < slackMs / 2) throw new Absent(`the answer came after ${Math.round(tookMs)} ms`);
    },
  }),
];
