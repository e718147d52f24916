import type { ConformanceCase } from "../case.js";
import type { StartOptions } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import type { StartKind } from "../starts.js";

/** The kind of start that carries request ids and validate_only. */
function startKind(run: CaseRun): StartKind {
  return run.kindFor("d");
}

async function nameOf(run: CaseRun, options: StartOptions): Promise<string | undefined> {
  const { operation } = await run.tryStart(startKind(run), options);
  return operation === undefined || operation.name === "" ? undefined : operation.name;
}

export const ridCases: readonly ConformanceCase[] = [
  defineCase({
    id: "rid.once",
    level: "must",
    title: "starts with one request id lead to one operation",
    sources: ["AIP-155: must guarantee idempotency"],
    needs: ["requestId"],
    async body(run: CaseRun) {
      const [one, other] = [run.random.uuid(), run.random.uuid()];
      const names = [await nameOf(run, { requestId: one }), await nameOf(run, { requestId: one })];
      const atOnce = await Promise.all(
        Array.from({ length: 10 }, (_, at) =>
          nameOf(run, { requestId: other, isolated: at % 2 === 1 }),
        ),
      );
      for (const [what, started] of [
        ["two starts in a row", names],
        ["ten starts at once", atOnce],
      ] as const) {
        const different = new Set(started.filter((name) => name !== undefined));
        if (different.size === 0) run.notExercised("no start with a request id succeeded");
        run.check(
          different.size === 1,
          `one operation for ${what} with one request id`,
          `${different.size}`,
        );
      }
    },
  }),
  defineCase({
    id: "rid.same",
    level: "should",
    title: "a repeated start with a request id answers with the first operation",
    sources: ["AIP-155"],
    needs: ["requestId"],
    async body(run: CaseRun) {
      const requestId = run.random.uuid();
      const started = await run.start(startKind(run), { requestId });
      const { answer, operation } = await run.tryStart(startKind(run), { requestId });
      run.check(
        operation?.name === started.name,
        `the operation "${started.name}" for the repeated start`,
        operation === undefined ? (answer?.text ?? "") : `"${operation.name}"`,
      );
    },
  }),
  defineCase({
    id: "rid.other",
    level: "must",
    title: "another request id leads to another operation",
    sources: ["AIP-155: uniquely identify"],
    needs: ["requestId"],
    async body(run: CaseRun) {
      const one = await run.start(startKind(run), { requestId: run.random.uuid() });
      const other = await run.start(startKind(run), { requestId: run.random.uuid() });
      run.check(
        one.name !== other.name,
        "two operations for two request ids",
        `"${one.name}" twice`,
      );
    },
  }),
];

/** Rounds of a count that another client of the server could disturb. */
const inertRounds = 3;

export const validateCases: readonly ConformanceCase[] = [
  defineCase({
    id: "validate.shape",
    level: "must",
    title: "a validated request answers with an error, or with an operation of the usual form",
    sources: ["AIP-151 validate-only"],
    needs: ["validateOnly"],
    async body(run: CaseRun) {
      const { answer, operation } = await run.tryStart(startKind(run), { validateOnly: true });
      if (operation === undefined) {
        if (answer?.fault !== undefined) throw run.failure("an answer", answer.text);
        return;
      }
      if (operation.done) return;
      run.check(operation.name !== "", "a name for an operation that is not done", "an empty name");
      await run.untilDone(operation.name);
    },
  }),
  defineCase({
    id: "validate.fails",
    level: "must",
    title: "validate_only reports the error of a request that cannot be started",
    sources: ["AIP-163"],
    needs: ["refused", "validateOnly"],
    async body(run: CaseRun) {
      const { answer, operation } = await run.tryStart("refused", { validateOnly: true });
      const isFailed = operation?.result.case === "error";
      run.check(
        answer?.status !== undefined || isFailed,
        "an error for a request that cannot be started",
        answer?.text ?? "OK",
      );
    },
  }),
  defineCase({
    id: "validate.inert",
    alone: true,
    level: "must",
    title: "validate_only begins no work",
    sources: ["AIP-163: not actually execute"],
    needs: ["validateOnly", "probe"],
    async body(run: CaseRun) {
      for (let round = 0; round < inertRounds; round += 1) {
        const before = await run.begun();
        if (before === undefined)
          run.notExercised("only the driver's Probe counts the work that began");
        await run.tryStart(startKind(run), { validateOnly: true });
        await run.sleep(run.budgets.slackMs / 5);
        // A start of another client would raise the count too, so one round with an unchanged count
        // is the proof.
        if ((await run.begun()) === before) return;
      }
      throw run.failure("no work begins for validate_only", "the driver counts more begun work");
    },
  }),
];
