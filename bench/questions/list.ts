import type { AnswerPages } from "../child-messages.js";
import type { Question, Subject } from "../harness.js";
import { startStore } from "../store-child.js";

export const question: Question = {
  asks: "What does a page of 1,000 operations cost that is copied from what is stored, and not encoded anew?",
  baseline: "encoded",
  subjects: [pageSubject("encoded"), pageSubject("copied")],
  cases: { of: "bytes an operation", values: [312] },
  measures: [
    { key: "micros", title: "processor time per page (us)", amount: "micros", per: "pages" },
  ],
  goals: [{ measure: "micros", subject: "copied", bound: "at most", ratio: 1 / 3 }],
  effort: { launches: 6, rounds: 6, warmUpRounds: 3, turns: 8, turnMs: 60 },
};

/** ListOperations of the service, in one of its two forms, without a network. */
function pageSubject(form: AnswerPages["form"]): Subject {
  return {
    name: form,
    async open() {
      const { child, close } = await startStore();
      await child.ask("fill", { operations: 2000, openEvery: 1000, wireBytes: 312 });
      return {
        async turn(_, durationMs) {
          return { ...(await child.ask("answerPages", { form, durationMs })) };
        },
        close,
      };
    },
  };
}
