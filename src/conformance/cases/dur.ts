import type { ConformanceCase } from "../case.js";
import { endText, type Started } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { isSameResult } from "../equality.js";
import { isStatus } from "../rpc-code.js";
import { needOf } from "../starts.js";

/** Restarts the subject, or ends the case. */
async function restart(run: CaseRun): Promise<void> {
  const { restart: again } = run.description;
  if (again === undefined) {
    run.notExercised('the suite cannot restart the subject; declare "command" and "restart"');
  }
  await again();
  const { name } = { name: run.description.unknownName ?? "operations/conformance-unknown" };
  const isUp = await run.poll(run.budgets.restartMs, async () => {
    const answer = await run.get(name, { raw: true });
    const isDown = answer.fault !== undefined || isStatus(answer, "UNAVAILABLE");
    return isDown ? undefined : true;
  });
  run.check(
    isUp === true,
    `the subject answers within ${run.budgets.restartMs} ms of its restart`,
    "no answer",
  );
}

export const durCases: readonly ConformanceCase[] = [
  defineCase({
    id: "dur.done",
    alone: true,
    level: "must",
    title: "finished operations survive a restart, and deleted ones remain deleted",
    sources: ["the subject's claim"],
    claims: ["durable"],
    needs: ["d"],
    async body(run: CaseRun) {
      const done: Started[] = [];
      while (done.length < 3) done.push(await run.done());
      const gone = await run.done();
      const deletion = await run.delete(gone.name, { raw: true });
      await restart(run);
      for (const { name, operation } of done) {
        const later = run.ok(await run.get(name), `"${name}" is found after the restart`);
        run.check(
          later.done && isSameResult(operation, later, run.subject.types),
          `the result of before the restart: ${endText(operation)}`,
          endText(later),
        );
      }
      if (deletion.message !== undefined) {
        run.status(await run.get(gone.name), ["NOT_FOUND"], `the deleted operation "${gone.name}"`);
      }
    },
  }),
  defineCase({
    id: "dur.running",
    alone: true,
    level: "must",
    title: "running operations survive a restart and come to an end",
    sources: ["AIP-151 Expiration", "the subject's claim"],
    claims: ["durable"],
    needs: ["r"],
    async body(run: CaseRun) {
      const { slackMs, restartMs } = run.budgets;
      const hasTakes = needOf(run.subject, "takes") !== undefined;
      const kind = hasTakes ? "takes" : run.kindFor("r");
      const { name } = await run.running(kind, { ms: 3 * slackMs });
      await restart(run);
      run.ok(await run.get(name), `"${name}" is found after the restart`);
      if (!hasTakes) await run.cancel(name);
      let text = "";
      const ended = await run.poll(restartMs, async () => {
        const operation = run.ok(await run.get(name), `"${name}" is found after the restart`);
        text = endText(operation);
        return operation.done ? true : undefined;
      });
      run.check(ended === true, `"${name}" ends within ${restartMs} ms of the restart`, text);
    },
  }),
];
