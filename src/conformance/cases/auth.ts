import type { ConformanceCase } from "../case.js";
import type { CallOptions } from "../case-calls.js";
import { endText } from "../case-operations.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { Unimplemented } from "../failure.js";
import type { Answer } from "../subject.js";

/** The calls that name one operation. */
const calls = {
  GetOperation: (run: CaseRun, name: string, options: CallOptions) => run.get(name, options),
  WaitOperation: (run: CaseRun, name: string, options: CallOptions) =>
    run.wait(name, 0, { ...options, limitMs: run.budgets.answerMs }),
  CancelOperation: (run: CaseRun, name: string, options: CallOptions) => run.cancel(name, options),
  DeleteOperation: (run: CaseRun, name: string, options: CallOptions) => run.delete(name, options),
} as const;

function stranger(run: CaseRun): CallOptions {
  return { identity: run.description.identities?.stranger ?? {} };
}

/**
 * Judges a stranger's answer: PERMISSION_DENIED, or, if the subject hides operations of other
 * callers, the very answer for a name that does not exist.
 */
async function judgeStranger(
  run: CaseRun,
  method: keyof typeof calls,
  name: string,
): Promise<void> {
  let answer: Answer;
  try {
    answer = await calls[method](run, name, stranger(run));
  } catch (error) {
    // A method that the server does not implement proves nothing.
    if (error instanceof Unimplemented) return;
    throw error;
  }
  const what = `${method} of another caller's operation`;
  if (run.description.identities?.foreign !== "NOT_FOUND") {
    run.status(answer, ["PERMISSION_DENIED"], what);
    return;
  }
  run.status(answer, ["NOT_FOUND"], what);
  const unknown = run.nameLike(name);
  const other = await calls[method](run, unknown, stranger(run));
  const [foreign, missing] = [shapeOf(answer, name), shapeOf(other, unknown)];
  run.check(foreign === missing, `for ${what} the answer for an unknown name: ${missing}`, foreign);
}

/** Everything that a caller can see of an error, with the name replaced. */
function shapeOf({ status, text }: Answer, name: string): string {
  if (status === undefined) return text;
  // Some details contain the operation's name. Their lengths are equal because the names have equal
  // lengths.
  const latin1 = new TextDecoder("latin1");
  const details = status.details.map(({ typeUrl, value }) => `${typeUrl} ${latin1.decode(value)}`);
  return [status.raw, status.message, ...details].join(" | ").replaceAll(name, "NAME");
}

export const authCases: readonly ConformanceCase[] = [
  defineCase({
    id: "auth.get",
    level: "must",
    title: "another caller cannot read an operation",
    sources: ["AIP-193 Permission Denied", "AIP-211"],
    claims: ["identities"],
    async body(run: CaseRun) {
      const { name } = await run.done(run.kindFor("d"));
      await judgeStranger(run, "GetOperation", name);
      await judgeStranger(run, "WaitOperation", name);
    },
  }),
  defineCase({
    id: "auth.hidden",
    level: "must",
    title: "permission is checked before existence and arguments",
    sources: ["AIP-193 Permission Denied", "AIP-211: before validating"],
    claims: ["scope parent"],
    async body(run: CaseRun) {
      const { name } = await run.done(run.kindFor("d"));
      const missing = run.nameLike(name);
      run.status(
        await run.get(missing, stranger(run)),
        ["PERMISSION_DENIED"],
        "GetOperation of an operation that does not exist, by another caller",
      );
      const answer = await run.list({ pageSize: -1 }, stranger(run));
      run.status(
        answer,
        ["PERMISSION_DENIED"],
        "ListOperations with page_size -1, by another caller",
      );
    },
  }),
  defineCase({
    id: "auth.change",
    level: "must",
    title: "another caller cannot cancel or delete an operation",
    sources: ["AIP-193 Permission Denied", "AIP-211"],
    claims: ["identities"],
    needs: ["u"],
    async body(run: CaseRun) {
      const { name } = await run.running("runsUntilCancelled");
      await judgeStranger(run, "CancelOperation", name);
      await judgeStranger(run, "DeleteOperation", name);
      await run.sleep(run.budgets.slackMs / 5);
      const operation = run.ok(await run.get(name), `"${name}" is found by its owner`);
      run.check(!operation.done, `"${name}" still runs`, endText(operation));
    },
  }),
  defineCase({
    id: "auth.list",
    level: "must",
    title: "another caller sees no operation of the owner, with the owner's page token neither",
    sources: ["AIP-193 Permission Denied", "AIP-158 Opacity"],
    claims: ["identities"],
    async body(run: CaseRun) {
      const own: string[] = [];
      while (own.length < 3) own.push((await run.done(run.kindFor("d"))).name);
      const seenBy = async (pageToken: string, how: string) => {
        let token = pageToken;
        for (let pages = 0; pages < 100; pages += 1) {
          const answer = await run.list({ pageSize: 1, pageToken: token }, stranger(run));
          if (answer.message === undefined) return;
          const seen = answer.message.operations.find(({ name }) => own.includes(name));
          run.check(
            seen === undefined,
            `no operation of the owner for another caller ${how}`,
            `"${seen?.name}"`,
          );
          token = answer.message.nextPageToken;
          if (token === "") return;
        }
      };
      await seenBy("", "without a page token");
      const first = run.page(await run.list({ pageSize: 1 }), {});
      if (first.nextPageToken !== "")
        await seenBy(first.nextPageToken, "with the owner's page token");
    },
  }),
  defineCase({
    id: "auth.anonymous",
    level: "must",
    title: "a call without credentials is UNAUTHENTICATED",
    sources: ["code.proto PERMISSION_DENIED, UNAUTHENTICATED"],
    claims: ["anonymous refused"],
    async body(run: CaseRun) {
      const { name } = await run.someName();
      const answer = await run.get(name, { identity: {} });
      run.status(answer, ["UNAUTHENTICATED"], "a call without credentials");
    },
  }),
];
