import type { Operation } from "../../protos.js";
import type { ConformanceCase } from "../case.js";
import { endText } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { isSameResult } from "../equality.js";
import { isStatus, rpcCode } from "../rpc-code.js";
import { doneAt, loopEnd, startWaitLoop } from "./wait-loop.js";

/** Number of operations in a race. */
const raceSize = 20;

export function isCancelled({ done, result }: Operation): boolean {
  return done && result.case === "error" && result.value.code === rpcCode.CANCELLED;
}

/** Cancels an operation and polls until it is done. */
async function cancelToEnd(run: CaseRun, name: string): Promise<Operation> {
  run.ok(await run.cancel(name), `OK for CancelOperation of "${name}"`);
  let text = "";
  const operation = await run.poll(run.budgets.cancelMs, async () => {
    const answer = await run.get(name);
    const message = run.ok(answer, `GetOperation finds the cancelled operation "${name}"`);
    text = endText(message);
    return message.done ? message : undefined;
  });
  run.check(
    operation !== undefined,
    `"${name}" is done within ${run.budgets.cancelMs} ms of CancelOperation`,
    text,
  );
  return operation;
}

export const cancelCases: readonly ConformanceCase[] = [
  defineCase({
    id: "cancel.ends",
    level: "must",
    title: "a cancelled operation ends with code 1 and is kept",
    sources: ["operations.proto CancelOperation"],
    needs: ["u"],
    each: true,
    async body(run: CaseRun) {
      const { name } = await run.running("runsUntilCancelled");
      const operation = await cancelToEnd(run, name);
      run.check(isCancelled(operation), "error.code 1 (CANCELLED)", endText(operation));
      await run.sleep(run.budgets.keepMs);
      run.ok(await run.get(name), `"${name}" is found ${run.budgets.keepMs} ms later`);
    },
  }),
  defineCase({
    id: "cancel.async",
    level: "must",
    title: "CancelOperation answers before the work ends",
    sources: ["operations.proto CancelOperation: asynchronous, despite"],
    needs: ["i"],
    async body(run: CaseRun) {
      const { answerMs, slackMs } = run.budgets;
      const started = await run.running("ignoresCancel", { ms: answerMs + 4 * slackMs });
      const { name } = started;
      const answer = await run.cancel(name);
      run.ok(answer, `an answer to CancelOperation within ${answerMs} ms, while the work runs`);
      const operation = await run.untilDone(name);
      const isOwn = operation.result.case !== "error" || started.expectedError !== undefined;
      run.check(
        isOwn || isCancelled(operation),
        "its own result, or error.code 1",
        endText(operation),
      );
    },
  }),
  defineCase({
    id: "cancel.unknown",
    level: "must",
    title: "CancelOperation of an unknown name is NOT_FOUND",
    sources: ["AIP-193 Permission Denied"],
    each: true,
    async body(run: CaseRun) {
      const { name, isGuess } = await run.unknownName();
      const answer = await run.cancel(name);
      if (isGuess && isStatus(answer, "INVALID_ARGUMENT"))
        run.notExercised('declare "unknownName"');
      run.status(answer, ["NOT_FOUND"], `CancelOperation of the unknown name "${name}"`);
    },
  }),
  defineCase({
    id: "cancel.done",
    level: "must",
    title: "CancelOperation of a done operation changes nothing",
    sources: ["operations.proto Operation.done"],
    needs: ["d"],
    async body(run: CaseRun) {
      const { name, operation } = await run.done();
      await run.cancel(name);
      for (const pauseMs of [0, run.budgets.slackMs / 2]) {
        await run.sleep(pauseMs);
        const later = run.ok(await run.get(name), `"${name}" is found after CancelOperation`);
        run.check(
          later.done && isSameResult(operation, later, run.subject.types),
          `the result of before: ${endText(operation)}`,
          endText(later),
        );
      }
    },
  }),
  defineCase({
    id: "cancel.again",
    level: "inferred",
    title: "a second CancelOperation is not a server error, and the end is one",
    sources: ["code.proto INTERNAL, UNKNOWN, DATA_LOSS"],
    needs: ["u"],
    async body(run: CaseRun) {
      run.premise("cancel.ends");
      const { name } = await run.running("runsUntilCancelled");
      await run.cancel(name);
      for (const when of ["at once", "after the end"]) {
        if (when === "after the end") await run.untilDone(name);
        const answer = await run.cancel(name);
        const serious = (["INTERNAL", "UNKNOWN", "DATA_LOSS"] as const).find((code) =>
          isStatus(answer, code),
        );
        run.check(
          serious === undefined,
          `no ${serious} for a second CancelOperation ${when}`,
          answer.text,
        );
      }
      const operation = await run.untilDone(name);
      run.check(isCancelled(operation), "error.code 1", endText(operation));
    },
  }),
  defineCase({
    id: "cancel.race",
    level: "must",
    title: "an operation that is cancelled as it ends has one end",
    sources: ["operations.proto Operation.result"],
    needs: ["t"],
    async body(run: CaseRun) {
      const workMs = 1.5 * run.budgets.slackMs;
      const judge = async (at: number) => {
        const isolated = at % 2 === 1;
        const { name } = await run.start("takes", { ms: workMs, isolated });
        await run.sleep(workMs * (0.5 + 0.6 * run.random.next()));
        await run.cancel(name, { isolated });
        const first = await run.untilDone(name);
        await run.sleep(workMs);
        const reads = [await run.get(name, { isolated })];
        const waited = await run.wait(name, 0, { raw: true, isolated });
        if (!isStatus(waited, "UNIMPLEMENTED")) reads.push(waited);
        for (const answer of reads) {
          const later = run.ok(answer, `"${name}" is found after its end`);
          run.check(
            later.done && isSameResult(first, later, run.subject.types),
            `one end for "${name}": ${endText(first)}`,
            `${answer.call.method}: ${endText(later)}`,
          );
        }
      };
      await Promise.all(Array.from({ length: raceSize }, (_, at) => judge(at)));
    },
  }),
  defineCase({
    id: "cancel.only",
    level: "must",
    title: "CancelOperation leaves other operations running",
    sources: ["operations.proto CancelOperationRequest.name"],
    needs: ["u"],
    async body(run: CaseRun) {
      const other = await run.running("runsUntilCancelled");
      const { name } = await run.running("runsUntilCancelled");
      await cancelToEnd(run, name);
      await run.sleep(run.budgets.slackMs / 2);
      const later = run.ok(await run.get(other.name), `"${other.name}" is found`);
      run.check(
        !later.done,
        `"${other.name}" runs on after CancelOperation of "${name}"`,
        endText(later),
      );
    },
  }),
  defineCase({
    id: "cancel.wakes",
    level: "must",
    title: "a held WaitOperation shows the cancellation",
    sources: ["operations.proto WaitOperation"],
    needs: ["u"],
    async body(run: CaseRun) {
      const { name } = await run.running("runsUntilCancelled");
      const loop = startWaitLoop(run, name);
      // The pause lets the wait reach the server before the cancellation.
      await run.sleep(run.budgets.slackMs / 5);
      await run.cancel(name);
      const atMs = await doneAt(run, name, run.budgets.cancelMs);
      const expected = `a held WaitOperation shows the end within ${run.budgets.wakeMs} ms`;
      const answer = await loopEnd(run, loop, atMs, run.budgets.wakeMs, expected);
      const operation = run.ok(answer, expected);
      run.check(isCancelled(operation), "error.code 1", endText(operation));
    },
  }),
];
