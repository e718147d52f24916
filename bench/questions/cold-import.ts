import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { buildPackage } from "../build.js";
import type { Amounts, Question, Subject } from "../harness.js";

const run = promisify(execFile);

const measures = [
  { key: "wallMs", title: "time on the clock, over node's own (ms)", amount: "wallMs" },
  { key: "cpuMs", title: "processor time, over node's own (ms)", amount: "cpuMs" },
  { key: "peakKiB", title: "most memory, over node's own (KiB)", amount: "peakKiB" },
] as const;

export const question: Question = {
  asks: "What does a program pay for importing the client, in a process that has just started?",
  baseline: "google-gax",
  subjects: [
    importSubject("google-gax", ["google-gax"]),
    importSubject("Connect alone", ["@connectrpc/connect"]),
    importSubject("ours", ["connect-longrunning"]),
    importSubject("ours and Connect-Node", ["connect-longrunning", "@connectrpc/connect-node"]),
  ],
  cases: { of: "process", values: [1] },
  measures,
  goals: measures.map(({ key }) => ({
    measure: key,
    subject: "ours",
    bound: "at most",
    ratio: 0.2,
  })),
  effort: { launches: 9, rounds: 1, warmUpRounds: 0, turns: 2, turnMs: 0 },
};

/** A process that imports these modules and does nothing else; the one that does nothing is taken off. */
function importSubject(name: string, modules: readonly string[]): Subject {
  const imports = modules.map((module) => `import(${JSON.stringify(module)});`).join(" ");
  return {
    name,
    async open() {
      const { folder, remove } = await buildPackage();
      // Warms the disk cache, which is not part of the question.
      await costOf(imports, folder);
      return {
        async turn() {
          const none = await costOf("", folder);
          const some = await costOf(imports, folder);
          return Object.fromEntries(
            measures.map(({ amount }) => [amount, (some[amount] ?? 0) - (none[amount] ?? 0)]),
          );
        },
        close: remove,
      };
    },
  };
}

/**
 * The peak is the kernel's of this program. The one of getrusage also counts what the
 * process was before it became node: a copy of its parent.
 */
const atExit = `process.on("exit", () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  const [, peakKiB] = /^VmHWM:\\s*(\\d+) kB$/m.exec(fs.readFileSync("/proc/self/status", "utf8"));
  console.log(JSON.stringify({ cpuMs: (userCPUTime + systemCPUTime) / 1000, peakKiB: +peakKiB }));
});`;

async function costOf(script: string, folder: string): Promise<Amounts> {
  const startMs = performance.now();
  const { stdout } = await run(process.execPath, ["-e", `${atExit} ${script}`], { cwd: folder });
  return { wallMs: performance.now() - startMs, ...JSON.parse(stdout) };
}
