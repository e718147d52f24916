import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openSubject, runSuite, type SubjectOptions } from "../../src/conformance/index.js";
import { startCommand } from "../cli/support/command-in-process.js";
import { createTestDatabase, type TestDatabase } from "../support/postgres/test-database.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";

async function failuresOf(options: SubjectOptions) {
  const subject = await openSubject(options);
  try {
    const report = await runSuite(subject, { jobs: 4, level: "should", inferred: true });
    // A slow machine may leave a case about time without a verdict.
    const bad = report.cases.filter(
      ({ outcome, why }) =>
        outcome === "fail" ||
        outcome === "error" ||
        (outcome === "not-exercised" && !why.startsWith("the runner was ")),
    );
    return {
      bad: bad.map((one) => `${one.id} ${one.outcome}: ${one.expected}; ${one.actual} ${one.why}`),
      partial: report.cases.find(({ id }) => id === "list.partial")?.outcome,
    };
  } finally {
    await subject.close();
  }
}

async function namesIn({ pool }: TestDatabase): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>("select name from longrunning.operations");
  return rows.map(({ name }) => name);
}

it("scale 41: the conformance suite passes over two shards, and beside one that is away", async () => {
  const databases = [await createTestDatabase(), await createTestDatabase()];
  const key = join(await createTemporaryFolder(), "key");
  await writeFile(key, Buffer.alloc(32, 7).toString("base64"));
  const server = startCommand([
    ...["serve", "--port", "0", "--conformance-driver", "--page-token-key-file", key],
    ...databases.flatMap(({ url }) => ["--database-url", url]),
  ]);
  onTestFinished(async () => {
    server.interrupt();
    await server.ended;
  }, 30_000);
  const [, url = ""] = await server.wrote("stdout", /^listening on (.*)\n/);
  const common = {
    subject: "two shards",
    protocols: { grpc: url },
    follows: [122, 160, 193],
    claims: {
      partialSuccess: "supported",
      wildcard: "printers/-",
      filters: { done: "done = true", open: "done = false", bad: ["done ="] },
    },
    driver: true,
    seed: 1,
  } as const;
  const parents = ["printers/a", "printers/b", "printers/c", "printers/d"];
  expect(await failuresOf({ ...common, parents })).toEqual({ bad: [], partial: "pass" });

  const [first, second] = await Promise.all(databases.map(namesIn));
  expect(first?.length).toBeGreaterThan(0);
  expect(second?.length).toBeGreaterThan(0);
  const away = first?.some((name) => name.startsWith("printers/a/")) ? databases[1] : databases[0];
  await away?.leave();
  const rest = await failuresOf({ ...common, parents: ["printers/a"] });
  expect(rest).toEqual({ bad: [], partial: "pass" });
}, 240_000);
