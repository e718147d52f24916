/**
 * Runs vitest as one suite of several: `node .ci/suite.mjs NAME [vitest arguments]`. A test that
 * fails runs once more alone; if it passes then, it is listed as flaky and counts as passed. The
 * counts are written to `.cache/suites/NAME.json`, where `.ci/run` adds them up.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const results = fileURLToPath(new URL("../.cache/suites", import.meta.url));

/**
 * @typedef {object} SuiteResult
 * @property {number} passed
 * @property {string[]} failed The full names of the tests, with their files.
 * @property {string[]} flaky Passed, but not at the first run.
 */

/**
 * Runs a suite and writes its counts.
 *
 * @param {string} name
 * @param {readonly string[]} args Arguments of `vitest run`.
 * @param {{ cwd?: string, node?: string, env?: Record<string, string | undefined> }} [where]
 * @returns {Promise<SuiteResult>}
 */
export async function runSuite(name, args, where = {}) {
  const cwd = where.cwd ?? process.cwd();
  const node = where.node ?? process.execPath;
  const path = `${join(node, "..")}:${process.env.PATH}`;
  const env = { ...process.env, ...where.env, PATH: path };
  const report = join(cwd, ".cache/test-results.json");

  const vitest = async (more) => {
    await rm(report, { force: true });
    const program = join(cwd, "node_modules/vitest/vitest.mjs");
    const child = spawn(node, [program, "run", ...more], { cwd, env, stdio: "inherit" });
    const [code] = await once(child, "exit");
    return { code, report: JSON.parse(await readFile(report, "utf8").catch(() => "null")) };
  };

  const first = await vitest(args);
  const failures = failuresOf(first, cwd);
  const project = args.flatMap((arg, at) => (arg === "--project" ? [arg, args[at + 1]] : []));
  const flaky = [];
  const failed = [];
  for (const { file, test } of failures) {
    const label = test === undefined ? file : `${file}: ${test}`;
    if (file === "") {
      failed.push(label);
      continue;
    }
    console.log(`once more, alone: ${label}`);
    const only = test === undefined ? [] : ["-t", `^${escaped(test)}$`];
    const again = await vitest([...project, file, ...only]);
    (again.code === 0 ? flaky : failed).push(label);
  }
  const again = flaky.length;
  const result = { passed: (first.report?.numPassedTests ?? 0) + again, failed, flaky };
  await mkdir(results, { recursive: true });
  await writeFile(join(results, `${name}.json`), JSON.stringify(result));
  console.log(`${name}: ${result.passed} passed, ${failed.length} failed, ${again} flaky`);
  for (const label of flaky) console.log(`  flaky: ${label}`);
  for (const label of failed) console.log(`  failed: ${label}`);
  return result;
}

/** The tests that failed, files that could not be loaded, and an end without any of these. */
function failuresOf({ code, report }, cwd) {
  const failures = (report?.testResults ?? []).flatMap(({ name, status, assertionResults }) => {
    const file = relative(resolve(cwd), name);
    const tests = assertionResults.filter((test) => test.status === "failed");
    if (status === "failed" && tests.length === 0) return [{ file, test: undefined }];
    return tests.map(({ fullName }) => ({ file, test: fullName }));
  });
  if (failures.length === 0 && code !== 0) return [{ file: "", test: `vitest ended with ${code}` }];
  return failures;
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, ...args] = process.argv.slice(2);
  const { failed } = await runSuite(name, args);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
