import { availableParallelism } from "node:os";
import type { Answer, Figure, GoalOutcome, Question } from "./harness.js";
import type { Spread } from "./ratios.js";

/** An answer as text, for people. */
export function reportOf(name: string, question: Question, answer: Answer): string {
  const { launches, rounds, turns, turnMs } = answer.effort;
  const lines = [
    `${name}: ${question.asks}`,
    `${launches} x ${rounds} rounds of ${turns} turns of ${turnMs} ms; Node ${process.version}, ` +
      `${availableParallelism()} cores, load ${answer.loadBefore.toFixed(1)} before the start`,
  ];
  for (const { key, title } of question.measures) {
    for (const caseValue of question.cases.values) {
      const figures = answer.figures.filter(
        (figure) => figure.measure === key && figure.case === caseValue,
      );
      lines.push("", `${title}, ${caseValue} ${question.cases.of}`, ...tableOf(question, figures));
    }
  }
  lines.push("", ...answer.goals.map((outcome) => goalText(question, outcome)));
  return lines.join("\n");
}

function tableOf({ baseline, subjects }: Question, figures: readonly Figure[]): string[] {
  const width = Math.max(...subjects.map(({ name }) => name.length));
  return figures.map(({ subject, median, ratio }) => {
    const to = ratio === undefined ? "" : `  ratio to the ${baseline}: ${spreadText(ratio)}`;
    return `  ${subject.padEnd(width)}  ${median.toFixed(1).padStart(8)}${to}`;
  });
}

function goalText(
  question: Question,
  { goal, case: at, ratio, met, certain }: GoalOutcome,
): string {
  const measure = question.measures.find(({ key }) => key === goal.measure)?.title ?? goal.measure;
  const against = goal.against ?? question.baseline;
  return [
    `goal: ${measure}, ${at} ${question.cases.of}: ${goal.subject} / ${against} ${goal.bound} ${goal.ratio.toFixed(2)}`,
    `  ${met ? "met" : "MISSED"}${certain ? "" : ", but not for certain"}: ` +
      `median ${ratio.median.toFixed(2)}, ${withinText(ratio)}`,
  ].join("\n");
}

function withinText({ medianWithin }: Spread): string {
  if (medianWithin === undefined) return "of too few launches to say how far off it may be";
  const [low, high] = medianWithin;
  return `at 95 % between ${low.toFixed(2)} and ${high.toFixed(2)}`;
}

function spreadText({ min, median, max }: Spread): string {
  return `min ${min.toFixed(2)}  median ${median.toFixed(2)}  max ${max.toFixed(2)}`;
}
