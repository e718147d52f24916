/**
 * Runs the tests on other versions of Node and of Connect than the checkout's, each in a copy of
 * the checkout, and prints a table. Node comes from npm's package `node`.
 *
 * `node .ci/test-matrix.mjs [ROW…]` runs some rows only, such as `node26`. `--skip-own` leaves out the
 * row that `npm test` has run: the major version of the Node that runs this, with its Connect.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runSuite } from "./suite.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The suites of `npm test`. */
const whole = ["--project", "main", "--project", "postgres"];
/** The parts that depend on Node and on Connect most. */
const short = [
  "--project",
  "main",
  ...["client", "node", "web", "direct", "protocols", "rest", "store/sqlite"].map(
    (p) => `test/${p}/`,
  ),
];
const newest = ["@connectrpc/connect", "@connectrpc/connect-node", "@connectrpc/connect-web"];
/** Their newest versions need Node 22. */
const telemetry = [
  "@opentelemetry/api",
  "@opentelemetry/context-async-hooks",
  "@opentelemetry/exporter-prometheus",
  "@opentelemetry/sdk-metrics",
  "@opentelemetry/sdk-trace-base",
];

const rows = [
  {
    name: "node26",
    node: "26",
    packages: [...newest, ...telemetry, "@bufbuild/protobuf"],
    tests: whole,
  },
  { name: "node24", node: "24", packages: newest, tests: short },
  { name: "node22", node: "22", packages: newest, tests: short },
  {
    name: "node20",
    node: "20",
    packages: newest.map((name) => `${name}@2.1`),
    tests: whole,
  },
];

const own = process.argv.includes("--skip-own") ? process.versions.node.split(".")[0] : undefined;
const named = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const chosen = rows.filter(
  ({ name, node }) => node !== own && (named.length === 0 || named.includes(name)),
);
const table = [];
let hasFailed = false;
for (const { name, node, packages, tests } of chosen) {
  const folder = mkdtempSync(join(tmpdir(), `connect-longrunning-${name}-`));
  // PostgreSQL runs as another user if root runs this.
  chmodSync(folder, 0o755);
  try {
    copyCheckout(folder);
    const wanted = [
      `node@${node}`,
      ...packages.map((one) => (one.lastIndexOf("@") > 0 ? one : `${one}@latest`)),
    ];
    const options = ["--no-save", "--force", "--no-audit", "--no-fund", "--loglevel=error"];
    execFileSync("npm", ["install", ...wanted, ...options], { cwd: folder, stdio: "inherit" });
    const program = join(folder, "node_modules/node/bin/node");
    const result = await runSuite(name, tests, { cwd: folder, node: program });
    hasFailed ||= result.failed.length > 0;
    table.push({
      runtime: execFileSync(program, ["--version"], { encoding: "utf8" }).trim(),
      connect: versionOf(folder, "@connectrpc/connect"),
      protobuf: versionOf(folder, "@bufbuild/protobuf"),
      tests: tests === whole ? "whole" : "short",
      ...{ passed: result.passed, failed: result.failed.length, flaky: result.flaky.length },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
console.table(table);
process.exitCode = hasFailed ? 1 : 0;

/** Copies all files that git has or would take, and the installed packages. */
function copyCheckout(folder) {
  const list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
  const files = execFileSync("git", list, { cwd: root, encoding: "utf8", maxBuffer: 1e8 });
  for (const path of files.split("\0").filter((one) => one !== "")) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(root, path), join(folder, path), { force: false, errorOnExist: false });
  }
  cpSync(join(root, "node_modules"), join(folder, "node_modules"), {
    recursive: true,
    verbatimSymlinks: true,
  });
}

function versionOf(folder, name) {
  const script = `console.log(require(${JSON.stringify(`${folder}/node_modules/${name}/package.json`)}).version)`;
  return execFileSync(process.execPath, ["--eval", script], { encoding: "utf8" }).trim();
}
