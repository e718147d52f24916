import { readdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { profileFolderVariable } from "./child.js";
import { ask, type Question, quickEffort } from "./harness.js";
import { reportOf } from "./report.js";

const usage = `npm run bench -- [OPTION...] [QUESTION...]      all questions where none is named

  --list             name the questions and what they ask
  --quick            a few short rounds: shows that it runs, and not how fast
  --json             every turn, and what was made of them, as one JSON array
  --control          the baseline a second time, as a subject: what the ratios are worth
  --launches N       start the subjects anew N times: more rounds, a smaller error
  --cpu-prof FOLDER  leave a CPU profile of each process of each subject there
  --help             this text`;

const questionsFolder = new URL("questions/", import.meta.url);

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  // At once, even if a child process is still there: it goes when its parent is gone.
  process.exit(1);
}

async function main(): Promise<void> {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      control: { type: "boolean", default: false },
      launches: { type: "string" },
      "cpu-prof": { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (options.help) {
    console.log(usage);
    return;
  }
  const questions = await readQuestions(positionals);
  if (options.list) {
    for (const { name, question } of questions) console.log(`${name}: ${question.asks}`);
    return;
  }
  const launches = options.launches === undefined ? undefined : Number(options.launches);
  if (launches !== undefined && !(Number.isInteger(launches) && launches >= 1)) {
    throw new RangeError(
      `--launches must be a whole number of at least 1, not ${options.launches}`,
    );
  }
  const profiles = options["cpu-prof"];
  if (profiles !== undefined) process.env[profileFolderVariable] = profiles;
  const answers = [];
  for (const { name, question } of questions) {
    const asked = options.control ? withControl(question) : question;
    const full = { ...asked.effort, launches: launches ?? asked.effort.launches };
    const answer = await ask(asked, options.quick ? quickEffort(full) : full);
    if (!options.json) console.log(`${reportOf(name, asked, answer)}\n`);
    answers.push({ name, asks: asked.asks, baseline: asked.baseline, ...answer });
  }
  if (options.json) console.log(JSON.stringify(answers));
}

/** The named questions, or all. */
async function readQuestions(
  wanted: readonly string[],
): Promise<{ name: string; question: Question }[]> {
  const known = (await readdir(questionsFolder))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -".ts".length))
    .sort();
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`no question is named ${unknown.join(", ")}; there are: ${known.join(", ")}`);
  }
  const names = wanted.length > 0 ? wanted : known;
  return Promise.all(
    names.map(async (name) => {
      const module: { question: Question } = await import(
        new URL(`${name}.ts`, questionsFolder).href
      );
      return { name, question: module.question };
    }),
  );
}

/** Adds the baseline a second time. Its ratio to itself shows the noise of the other ratios. */
function withControl(question: Question): Question {
  const { baseline, subjects } = question;
  const controls = subjects
    .filter(({ name }) => name === baseline)
    .map((subject) => ({ ...subject, name: `${baseline} again` }));
  return { ...question, subjects: [...subjects, ...controls] };
}
