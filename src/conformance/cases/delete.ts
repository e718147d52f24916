import type { ConformanceCase } from "../case.js";
import { endText } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { isStatus } from "../rpc-code.js";
import { isCancelled } from "./cancel.js";

/** Deletes an operation, or ends the case if the server refuses. */
async function deleted(run: CaseRun, name: string): Promise<void> {
  const answer = await run.delete(name);
  if (answer.fault !== undefined) run.ok(answer, `an answer to DeleteOperation of "${name}"`);
  if (answer.status !== undefined) run.notExercised(`DeleteOperation answers ${answer.text}`);
}

/** Fails unless the operation becomes NOT_FOUND. */
async function untilGone(run: CaseRun, name: string): Promise<void> {
  let text = "";
  const gone = await run.poll(run.budgets.settleMs, async () => {
    const answer = await run.get(name);
    text = answer.text;
    return isStatus(answer, "NOT_FOUND") ? true : undefined;
  });
  run.check(gone === true, `NOT_FOUND for the deleted operation "${name}"`, text);
}

export const deleteCases: readonly ConformanceCase[] = [
  defineCase({
    id: "delete.gone",
    level: "must",
    title: "a deleted operation is NOT_FOUND",
    sources: ["operations.proto DeleteOperation", "AIP-193"],
    needs: ["d"],
    each: true,
    async body(run: CaseRun) {
      const { name } = await run.done();
      await deleted(run, name);
      await untilGone(run, name);
    },
  }),
  defineCase({
    id: "delete.unlisted",
    level: "should",
    title: "a deleted operation is not listed",
    sources: ["AIP-132 Soft-deleted resources"],
    needs: ["d"],
    async body(run: CaseRun) {
      run.premise("delete.gone");
      const { name } = await run.done();
      await deleted(run, name);
      const gone = await run.poll(run.budgets.settleMs, async () => {
        const { operations } = await run.walk({});
        return operations.some((operation) => operation.name === name) ? undefined : true;
      });
      run.check(
        gone === true,
        `the list does not contain the deleted operation "${name}"`,
        "it does",
      );
    },
  }),
  defineCase({
    id: "delete.unknown",
    level: "must",
    title: "DeleteOperation of a name that does not exist is NOT_FOUND",
    sources: ["AIP-135 Errors"],
    each: true,
    async body(run: CaseRun) {
      const { name, isGuess } = await run.unknownName();
      const answer = await run.delete(name);
      if (isGuess && isStatus(answer, "INVALID_ARGUMENT"))
        run.notExercised('declare "unknownName"');
      run.status(answer, ["NOT_FOUND"], `DeleteOperation of the unknown name "${name}"`);
      run.premise("delete.gone");
      const done = await run.done();
      const first = await run.delete(done.name);
      if (first.message === undefined) return;
      await untilGone(run, done.name);
      run.status(
        await run.delete(done.name),
        ["NOT_FOUND"],
        `DeleteOperation of the deleted operation "${done.name}"`,
      );
    },
  }),
  defineCase({
    id: "delete.running",
    level: "must",
    title: "DeleteOperation of a running operation removes it, or refuses and leaves it untouched",
    sources: ["operations.proto DeleteOperation"],
    needs: ["r"],
    async body(run: CaseRun) {
      const { name } = await run.running(run.kindFor("r"), { ms: run.budgets.caseMs / 2 });
      const answer = await run.delete(name);
      if (answer.fault !== undefined) run.ok(answer, "an answer to DeleteOperation");
      if (answer.message !== undefined) {
        await untilGone(run, name);
        return;
      }
      await run.sleep(run.budgets.slackMs / 5);
      const operation = run.ok(
        await run.get(name),
        `"${name}" is found after a refused DeleteOperation`,
      );
      run.check(
        !isCancelled(operation),
        `"${name}" is untouched by a refused DeleteOperation`,
        endText(operation),
      );
    },
  }),
  defineCase({
    id: "delete.works-on",
    level: "must",
    title: "DeleteOperation does not cancel the work",
    sources: ["operations.proto DeleteOperation: does not cancel"],
    needs: ["t", "probe"],
    async body(run: CaseRun) {
      const workMs = run.budgets.slackMs;
      const { name } = await run.running("takes", { ms: workMs });
      await deleted(run, name);
      const state = await run.poll(workMs + run.budgets.settleMs, async () => {
        const now = await run.probe(name);
        return now === "running" ? undefined : now;
      });
      if (state === undefined)
        run.notExercised("the probe does not know the deleted operation's work");
      run.check(
        state === "ended",
        "the work of the deleted operation reaches its own end",
        String(state),
      );
    },
  }),
  defineCase({
    id: "delete.wait",
    level: "must",
    title: "a held WaitOperation of a deleted operation ends in time",
    sources: ["operations.proto WaitOperation: at most"],
    needs: ["r"],
    async body(run: CaseRun) {
      const { slackMs, answerMs } = run.budgets;
      const { name } = await run.running(run.kindFor("r"), { ms: run.budgets.caseMs / 2 });
      const timeoutMs = 3 * slackMs;
      const waiting = run.wait(name, timeoutMs, { limitMs: timeoutMs + slackMs + answerMs });
      waiting.catch(() => undefined);
      await run.sleep(slackMs / 5);
      await deleted(run, name);
      const answer = await waiting;
      const expected = `WaitOperation of ${timeoutMs} ms ends in time although the operation is deleted`;
      run.within(answer, timeoutMs + slackMs, expected);
      if (answer.fault !== undefined) throw run.failure(expected, answer.text);
    },
  }),
  defineCase({
    id: "delete.race",
    level: "must",
    title: "CancelOperation and DeleteOperation at once leave a deleted operation NOT_FOUND",
    sources: ["operations.proto DeleteOperation"],
    needs: ["r"],
    async body(run: CaseRun) {
      run.premise("delete.gone");
      const kind = run.kindFor("r");
      let accepted = 0;
      const names: string[] = [];
      for (let at = 0; at < 10; at += 1) {
        const isolated = at % 2 === 1;
        const { name } = await run.running(kind, { ms: run.budgets.caseMs / 2, isolated });
        const cancelFirst = run.random.next() < 0.5;
        const calls = [() => run.cancel(name, { isolated }), () => run.delete(name, { isolated })];
        const [one, other] = await Promise.all(
          (cancelFirst ? calls : calls.reverse()).map((call) => call()),
        );
        const answer = cancelFirst ? other : one;
        if (answer?.message === undefined) continue;
        accepted += 1;
        names.push(name);
        await untilGone(run, name);
      }
      if (accepted === 0)
        run.notExercised("the server refuses DeleteOperation of running operations");
      await run.sleep(run.budgets.slackMs);
      for (const name of names) {
        run.status(await run.get(name), ["NOT_FOUND"], `the deleted operation "${name}"`);
      }
    },
  }),
];
