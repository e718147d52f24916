import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, it, onTestFinished, vi } from "vitest";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";

const root = resolve(import.meta.dirname, "../..");

/** The signal handlers of the documents, as code. */
const handlers = {
  async "docs/operate/deploys.md"() {
    const page = await readFile(join(root, "docs/operate/deploys.md"), "utf8");
    return /## The signal handler\n\n```ts\n(.*?)```/s.exec(page)?.[1];
  },
  async "README.md"() {
    return /^process\.on\("SIGTERM".*$/m.exec(await readFile(join(root, "README.md"), "utf8"))?.[0];
  },
};

/**
 * Runs a program with this handler and one operation, and resolves when its work has begun.
 *
 * @param work The work's body; `signal` is its signal.
 */
async function run(handler: string | undefined, work: string) {
  assert.ok(handler, "the document has no handler");
  const folder = await createTemporaryFolder();
  const data = join(folder, "operations.db");
  const program = join(folder, "program.mts");
  await writeFile(
    program,
    `import { createServer } from "${root}/src/node/index.js";
import { createOperations } from "${root}/src/server/index.js";
import { createSqliteStore } from "${root}/src/store/sqlite/index.js";
import { Print } from "${root}/test/support/print-server.js";
const operations = createOperations({
  store: await createSqliteStore({ path: ${JSON.stringify(data)} }),
  log: () => undefined,
});
operations.handle(Print, ({ signal, name }) => {
  console.log(name);
  ${work}
});
const server = createServer({ routes: () => {}, operations });
await server.listen();
${handler}
await operations.start(Print, {});
`,
  );
  const child: ChildProcess = spawn(
    process.execPath,
    ["--import", import.meta.resolve("tsx"), program],
    { stdio: ["ignore", "pipe", "inherit"], cwd: root },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = once(child, "exit");
  assert.ok(child.stdout !== null);
  const [line] = await once(child.stdout, "data");
  return { child, exited, data, name: String(line).trim() };
}

/** The handler with a shorter grace than the ten seconds that both documents have. */
function withGrace(handler: string | undefined, graceMs: number): string | undefined {
  return handler
    ?.replace("10_000", String(graceMs))
    .replace("close()", `close({ graceMs: ${graceMs} })`);
}

/** The stored operation after the process has ended. */
async function storedIn(data: string, name: string) {
  const store = await createSqliteStore({ path: data });
  const record = await store.get(name);
  await store.close();
  return record;
}

const heeds = `return new Promise((_, reject) => {
    const timer = setInterval(() => {}, 1000);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      reject(signal.reason);
    });
  });`;
const ignores = "return new Promise(() => setInterval(() => {}, 1000));";

// Each test starts a process, which takes seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

describe.each(Object.entries(handlers))("the signal handler of %s", (_, read) => {
  it("ends the process although work ignores its signal", async () => {
    const handler = withGrace(await read(), 300);
    const { child, exited } = await run(handler, ignores);
    const startMs = performance.now();
    child.kill("SIGTERM");
    const [code, signal] = await exited;
    assert.deepEqual([code, signal], [0, null]);
    assert.ok(performance.now() - startMs < 5000);
  });

  it("hands the work over before the process ends, although a second signal comes", async () => {
    const handler = withGrace(await read(), 1000);
    const { child, exited, data, name } = await run(handler, heeds);
    child.kill("SIGTERM");
    child.kill("SIGTERM");
    const [code, signal] = await exited;
    assert.deepEqual([code, signal], [0, null]);
    const record = await storedIn(data, name);
    assert.equal(record?.state, "queued");
  });
});

describe("the signal handler of docs/operate/deploys.md", () => {
  it("hands over at once on a second signal, not after the grace", async () => {
    const { child, exited, data, name } = await run(
      await handlers["docs/operate/deploys.md"](),
      heeds,
    );
    const startMs = performance.now();
    child.kill("SIGTERM");
    // Two signals of one kind are one until the process has seen the first.
    const second = setInterval(() => child.kill("SIGTERM"), 100);
    onTestFinished(() => clearInterval(second));
    await exited;
    assert.ok(performance.now() - startMs < 8000, "it took the grace of ten seconds");
    assert.equal((await storedIn(data, name))?.state, "queued");
  });
});
