import { loadavg } from "node:os";
import { median, pairedRatios, type Spread, spreadOf } from "./ratios.js";

/** One thing to find out by measuring. `bench/questions/<name>.ts` exports it as `question`. */
export interface Question {
  /** The question as a sentence. */
  readonly asks: string;
  /** The name of the subject that the others are compared with. */
  readonly baseline: string;
  /** At least two. */
  readonly subjects: readonly Subject[];
  /** The circumstances that everything is measured under, such as 1 and 16 requests in flight. */
  readonly cases: { readonly of: string; readonly values: readonly number[] };
  readonly measures: readonly Measure[];
  readonly goals: readonly Goal[];
  readonly effort: Effort;
}

/** Something to compare with others. */
export interface Subject {
  readonly name: string;
  /** Start its processes. */
  open(): Promise<OpenSubject>;
}

/** A subject whose processes run. */
export interface OpenSubject {
  /**
   * The subject's answer. If several subjects have one, the answers must be equal, because
   * the subjects are not comparable otherwise.
   */
  answer?(): Promise<Uint8Array>;
  /**
   * Measure once, for about `turnMs` milliseconds where the subject can go on for as
   * long as it likes.
   */
  turn(caseValue: number, turnMs: number): Promise<Amounts>;
  close(): Promise<void>;
}

/** The cost and the work of one turn. The turns of a round are added up. */
export type Amounts = Readonly<Record<string, number>>;

/** A number that every round of every subject gives: one amount per another. */
export interface Measure {
  readonly key: string;
  /** The name with its unit: "server CPU per request (us)". */
  readonly title: string;
  readonly amount: string;
  /** Default: the number of turns. */
  readonly per?: string | undefined;
}

/** A bound for the median of the paired ratios. A goal that is missed is reported, and no error. */
export interface Goal {
  /** The key of a measure. */
  readonly measure: string;
  readonly subject: string;
  /** The subject to divide by. Default: the question's baseline. */
  readonly against?: string | undefined;
  /** The cases that it holds for. Default: all of them. */
  readonly at?: readonly number[] | undefined;
  readonly bound: "at most" | "at least";
  readonly ratio: number;
}

/** How much to measure. All but the warm-up are at least 1. */
export interface Effort {
  /**
   * How often all subjects are started anew. Two processes of one program differ by
   * some per cent for their whole lives, because the compiler and the collector make
   * different choices. At least six launches show how far off the median may be.
   */
  readonly launches: number;
  /** Rounds of one launch: each gives one number per measure, case and subject. */
  readonly rounds: number;
  /** Rounds at the start of each launch that are not counted. */
  readonly warmUpRounds: number;
  /**
   * How many turns a subject has in each case of a round. The shorter they are, the
   * more alike is what else the machine does in the turns of two subjects.
   */
  readonly turns: number;
  readonly turnMs: number;
}

/** Just enough to show that a question runs. Its figures mean nothing. */
export function quickEffort(effort: Effort): Effort {
  return {
    ...effort,
    launches: 1,
    rounds: Math.min(effort.rounds, 3),
    warmUpRounds: Math.min(effort.warmUpRounds, 1),
    turns: Math.min(effort.turns, 2),
  };
}

/** One turn. */
export interface Turn {
  readonly launch: number;
  /** Within the launch, from 0. */
  readonly round: number;
  readonly case: number;
  readonly subject: string;
  readonly amounts: Amounts;
}

/** One measure of one subject in one case. */
export interface Figure {
  readonly measure: string;
  readonly case: number;
  readonly subject: string;
  readonly median: number;
  /** The ratios to the baseline in the same round. Absent for the baseline. */
  readonly ratio: Spread | undefined;
}

export interface GoalOutcome {
  readonly goal: Goal;
  readonly case: number;
  readonly ratio: Spread;
  /** Whether the median keeps to the bound. */
  readonly met: boolean;
  /** Whether the whole interval of the median lies on one side of the bound. */
  readonly certain: boolean;
}

export interface Answer {
  readonly effort: Effort;
  /** How many processes wanted a processor, in the minute before the first turn. */
  readonly loadBefore: number;
  /** In the order in which they were taken. */
  readonly turns: readonly Turn[];
  readonly figures: readonly Figure[];
  readonly goals: readonly GoalOutcome[];
}

/**
 * Ask a question: subjects in turns, with another one first each time.
 *
 * @throws Error if two subjects answer differently, if a subject breaks, or if a
 *   round lacks what a measure is made of.
 */
export async function ask(question: Question, effort = question.effort): Promise<Answer> {
  const loadBefore = loadavg()[0] ?? 0;
  const turns: Turn[] = [];
  for (let launch = 0; launch < effort.launches; launch++) {
    turns.push(...(await takeTurns(question, effort, launch)));
  }
  const rounds = { turns, question };
  return {
    effort,
    loadBefore,
    turns,
    figures: figuresOf(rounds),
    goals: question.goals.flatMap((goal) => goalOutcomes(rounds, goal)),
  };
}

/** A subject by its name, with its processes running. */
interface Opened {
  readonly name: string;
  readonly subject: OpenSubject;
}

async function takeTurns(question: Question, effort: Effort, launch: number): Promise<Turn[]> {
  const turns: Turn[] = [];
  const opened: Opened[] = [];
  try {
    for (const { name, open } of rotated(question.subjects, launch)) {
      opened.push({ name, subject: await open() });
    }
    await assertSameAnswers(opened);
    for (let round = -effort.warmUpRounds; round < effort.rounds; round++) {
      for (const caseValue of question.cases.values) {
        const taken = await takeRound(opened, effort, caseValue);
        if (round < 0) continue;
        turns.push(...taken.map((turn) => ({ launch, round, case: caseValue, ...turn })));
      }
    }
  } finally {
    await Promise.all(opened.map(({ subject }) => subject.close()));
  }
  return turns;
}

async function takeRound(
  opened: readonly Opened[],
  { turns, turnMs }: Effort,
  caseValue: number,
): Promise<{ subject: string; amounts: Amounts }[]> {
  const taken = [];
  for (let turn = 0; turn < turns; turn++) {
    for (const { name, subject } of rotated(opened, turn)) {
      taken.push({ subject: name, amounts: await subject.turn(caseValue, turnMs) });
    }
  }
  return taken;
}

/** Rotates the order, because a later subject may profit from an earlier one. */
function rotated<T>(all: readonly T[], times: number): T[] {
  const first = times % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

async function assertSameAnswers(opened: readonly Opened[]): Promise<void> {
  let first: { name: string; answer: Uint8Array } | undefined;
  for (const { name, subject } of opened) {
    const answer = await subject.answer?.();
    if (answer === undefined) continue;
    first ??= { name, answer };
    if (Buffer.compare(first.answer, answer) !== 0) {
      throw new Error(`"${name}" answers other bytes than "${first.name}"`);
    }
  }
}

/** All turns of a question. */
interface Rounds {
  readonly question: Question;
  readonly turns: readonly Turn[];
}

function figuresOf(rounds: Rounds): Figure[] {
  const { measures, cases, subjects, baseline } = rounds.question;
  return measures.flatMap((measure) =>
    cases.values.flatMap((caseValue) =>
      subjects.map(({ name }) => ({
        measure: measure.key,
        case: caseValue,
        subject: name,
        median: median(valuesOf(rounds, measure, caseValue, name).flat()),
        ratio: name === baseline ? undefined : ratioOf(rounds, measure, caseValue, name, baseline),
      })),
    ),
  );
}

function goalOutcomes(rounds: Rounds, goal: Goal): GoalOutcome[] {
  const { measures, cases, baseline } = rounds.question;
  const measure = measures.find(({ key }) => key === goal.measure);
  if (measure === undefined) throw new Error(`a goal names no measure: ${goal.measure}`);
  const isMet = (ratio: number) =>
    goal.bound === "at most" ? ratio <= goal.ratio : ratio >= goal.ratio;
  return (goal.at ?? cases.values).map((caseValue) => {
    const ratio = ratioOf(rounds, measure, caseValue, goal.subject, goal.against ?? baseline);
    const met = isMet(ratio.median);
    const certain = ratio.medianWithin?.every((end) => isMet(end) === met) ?? false;
    return { goal, case: caseValue, ratio, met, certain };
  });
}

function ratioOf(
  rounds: Rounds,
  measure: Measure,
  caseValue: number,
  subject: string,
  against: string,
): Spread {
  const values = valuesOf(rounds, measure, caseValue, subject);
  const others = valuesOf(rounds, measure, caseValue, against);
  return spreadOf(values.map((launch, index) => pairedRatios(launch, others[index] ?? [])));
}

/** For each launch, one value for each of its rounds. */
function valuesOf(
  { turns }: Rounds,
  { key, amount, per }: Measure,
  caseValue: number,
  subject: string,
): number[][] {
  const sums: { amount: number; per: number }[][] = [];
  for (const turn of turns) {
    if (turn.case !== caseValue || turn.subject !== subject) continue;
    const launch = sums[turn.launch] ?? [];
    sums[turn.launch] = launch;
    const sum = launch[turn.round] ?? { amount: 0, per: 0 };
    sum.amount += turn.amounts[amount] ?? Number.NaN;
    sum.per += per === undefined ? 1 : (turn.amounts[per] ?? Number.NaN);
    launch[turn.round] = sum;
  }
  return sums.map((launch) =>
    launch.map((sum) => {
      const value = sum.amount / sum.per;
      if (Number.isFinite(value) && value > 0) return value;
      throw new Error(`a round of "${subject}" gave ${value} for ${key}, not a number above 0`);
    }),
  );
}
