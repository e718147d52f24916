import type { ConformanceCase } from "../case.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { isStatus } from "../rpc-code.js";

/** Number of starts, so that a loss in one of ten is found. */
const manyStarts = 12;

export const startCases: readonly ConformanceCase[] = [
  defineCase({
    id: "start.found",
    level: "must",
    title: "GetOperation finds each started operation",
    sources: ["operations.proto Operations: polled by name"],
    async body(run: CaseRun) {
      const kind = run.kindFor("any");
      const first = await run.start(kind);
      const started = [first];
      while (!first.isPrepared && started.length < manyStarts) started.push(await run.start(kind));
      for (const { name } of started) {
        let text = "";
        const found = await run.poll(run.budgets.settleMs, async () => {
          const answer = await run.get(name);
          text = answer.text;
          return answer.message;
        });
        run.check(
          found !== undefined,
          `GetOperation finds "${name}" within ${run.budgets.settleMs} ms of its start`,
          text,
        );
      }
    },
  }),
  defineCase({
    id: "start.visible",
    level: "inferred",
    title: "the first GetOperation after a start finds the operation",
    sources: ["googleapis/aip issue 870, open"],
    async body(run: CaseRun) {
      const started = await run.start(run.kindFor("any"));
      if (started.isPrepared) run.notExercised("prepared names do not show it");
      run.ok(await run.get(started.name), `the first GetOperation finds "${started.name}"`);
    },
  }),
  defineCase({
    id: "start.unique",
    level: "must",
    title: "20 starts at once get 20 names",
    sources: ["operations.proto Operation.name"],
    needs: ["s"],
    async body(run: CaseRun) {
      const starts = await Promise.all(
        Array.from({ length: 20 }, (_, at) => run.tryStart("succeeds", { isolated: at % 2 === 1 })),
      );
      if (starts.some(({ isPrepared }) => isPrepared)) {
        run.notExercised("prepared names do not show it");
      }
      const names = starts.flatMap(({ operation }) =>
        operation === undefined || operation.name === "" ? [] : [operation.name],
      );
      if (names.length < 2) run.notExercised("fewer than two of 20 starts at once were accepted");
      const twice = names.find((name, at) => names.indexOf(name) !== at);
      run.check(twice === undefined, "a name of its own for each operation", `"${twice}" twice`);
    },
  }),
  defineCase({
    id: "start.refused",
    level: "must",
    title: "a request that cannot be started is an RPC error, without an operation",
    sources: ["AIP-151 Errors"],
    needs: ["refused"],
    async body(run: CaseRun) {
      const { answer, operation } = await run.tryStart("refused");
      if (answer === undefined) run.notExercised("the start was not a call");
      const expected = "an RPC error for a request that cannot be started";
      if (operation !== undefined) {
        throw run.failure(expected, `an operation with the name "${operation.name}"`);
      }
      run.check(answer.status !== undefined, expected, answer.text);
      if (isStatus(answer, "UNIMPLEMENTED")) run.notExercised("the plan is not available");
    },
  }),
  defineCase({
    id: "start.parallel",
    level: "must",
    title: "a start on a busy resource fails with ABORTED and a message",
    sources: ["AIP-151 Parallel operations"],
    needs: ["parallel"],
    async body(run: CaseRun) {
      const first = await run.running("parallel", { ms: run.budgets.caseMs / 2 });
      const { answer } = await run.tryStart("parallel", { ms: run.budgets.slackMs });
      if (answer === undefined) run.notExercised("the start was not a call");
      const { message } = await run.get(first.name);
      if (message?.done !== false) run.notExercised("the first operation ended too early");
      const status = run.status(answer, ["ABORTED"], "a second start on a busy resource");
      run.check(status.message !== "", "a message that explains the conflict", "an empty message");
    },
  }),
];
