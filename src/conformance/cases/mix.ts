import type { ConformanceCase } from "../case.js";
import { endText } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { NotExercised, Unimplemented } from "../failure.js";
import { invariants } from "../ledger.js";
import { isStatus } from "../rpc-code.js";
import { isCancelled } from "./cancel.js";

const totalCalls = 300;
const lanes = 5;
const operationCount = 10;

/** State of one operation, as the calls of the lanes leave it. */
interface Model {
  name: string;
  /** Whether a CancelOperation was sent. */
  isCancelSent: boolean;
  /** Whether a CancelOperation was answered with OK. */
  isCancelled: boolean;
  /** Whether a DeleteOperation was sent. */
  isDeleteSent: boolean;
  /** Whether a DeleteOperation was answered with OK. */
  isDeleted: boolean;
}

export const mixCases: readonly ConformanceCase[] = [
  defineCase({
    id: "mix.model",
    alone: true,
    level: "must",
    title: "300 calls in five lanes over ten operations keep the statements of single cases",
    sources: ["the sources of inv, delete.gone, cancel.ends and cancel.only"],
    needs: ["u"],
    async body(run: CaseRun) {
      run.premise("cancel.ends", "cancel.only", "delete.gone", "start.found");
      const { ledger } = run.subject;
      const before = new Set(
        invariants.filter((one) => ledger.violation(one, run.protocol) !== undefined),
      );
      const models: Model[] = [];
      for (let at = 0; at < operationCount; at += 1) {
        const { name } = await run.running("runsUntilCancelled");
        models.push({
          name,
          isCancelSent: false,
          isCancelled: false,
          isDeleteSent: false,
          isDeleted: false,
        });
      }
      const missing = new Set<string>();
      const step = async (isolated: boolean) => {
        const model = models[run.random.below(models.length)];
        if (model === undefined) return;
        const { name } = model;
        const dice = run.random.below(100);
        try {
          if (dice < 55) await run.get(name, { isolated });
          else if (dice < 75 && !missing.has("wait")) await run.wait(name, 20, { isolated });
          else if (dice < 90 && !missing.has("list")) await run.list({ pageSize: 5 }, { isolated });
          else if (dice < 96 && !missing.has("cancel")) {
            model.isCancelSent = true;
            const answer = await run.cancel(name, { isolated });
            model.isCancelled ||= answer.message !== undefined;
          } else if (!missing.has("delete")) {
            model.isDeleteSent = true;
            const answer = await run.delete(name, { isolated });
            model.isDeleted ||= answer.message !== undefined;
          }
        } catch (error) {
          if (!(error instanceof Unimplemented || error instanceof NotExercised)) throw error;
          missing.add(dice < 75 ? "wait" : dice < 90 ? "list" : dice < 96 ? "cancel" : "delete");
        }
      };
      await Promise.all(
        Array.from({ length: lanes }, async (_, lane) => {
          for (let count = 0; count < totalCalls / lanes; count += 1) {
            await step(lane % 2 === 1 && count % 10 === 0);
          }
        }),
      );
      for (const model of models) {
        const { name } = model;
        if (model.isDeleted) {
          let text = "";
          const gone = await run.poll(run.budgets.settleMs, async () => {
            const answer = await run.get(name);
            text = answer.text;
            return isStatus(answer, "NOT_FOUND") ? true : undefined;
          });
          run.check(gone === true, `NOT_FOUND for the deleted operation "${name}"`, text);
        } else if (!model.isDeleteSent && model.isCancelled) {
          let text = "";
          const ended = await run.poll(run.budgets.cancelMs, async () => {
            const operation = run.ok(await run.get(name), `"${name}" is found`);
            text = endText(operation);
            return operation.done ? operation : undefined;
          });
          run.check(ended !== undefined && isCancelled(ended), `"${name}" ends with code 1`, text);
        } else if (!model.isDeleteSent && !model.isCancelSent) {
          const operation = run.ok(await run.get(name), `"${name}" is found`);
          run.check(
            !operation.done,
            `"${name}", which no call cancelled, runs`,
            endText(operation),
          );
        }
      }
      await run.sleep(run.budgets.slackMs / 5);
      for (const { name, isDeleted } of models) {
        if (isDeleted)
          run.status(await run.get(name), ["NOT_FOUND"], `the deleted operation "${name}"`);
      }
      for (const invariant of invariants) {
        const violation = ledger.violation(invariant, run.protocol);
        if (violation === undefined || before.has(invariant)) continue;
        throw run.failure(`${violation.expected} (${invariant})`, violation.actual);
      }
    },
  }),
];
