import { execFile } from "node:child_process";
import { readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { createTemporaryFolder } from "../support/temporary-folder.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const tsx = join(root, "node_modules/.bin/tsx");
const demo = join(root, "examples/agent/demo.ts");

/** Runs the demo with a directory of its own for temporary files. */
async function runDemo(folder: string) {
  const temporary = await createTemporaryFolder();
  const env = { ...process.env, TMPDIR: temporary };
  const run = await new Promise<{ exitCode: number | null; stdout: string; stderr: string }>(
    (resolve) => {
      const child = execFile(tsx, [demo, folder], { cwd: root, env }, (_, stdout, stderr) =>
        resolve({ exitCode: child.exitCode, stdout, stderr }),
      );
    },
  );
  // tsx keeps compiled files there.
  const left = (await readdir(temporary)).filter((name) => !name.startsWith("tsx-"));
  return { ...run, left };
}

describe("the scripted agent", { timeout: 60_000 }, () => {
  it("finds the tools, follows, cancels and sees errors", async () => {
    const folder = await createTemporaryFolder();
    await writeFile(join(folder, "a.txt"), "some text");
    // A file of zeros takes long to compress and no room on the disk.
    await writeFile(join(folder, "zeros"), "");
    await truncate(join(folder, "zeros"), 384 * 1024 * 1024);

    const { exitCode, stdout, stderr, left } = await runDemo(folder);

    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("   compress_folder: Write all files of a folder");
    expect(stdout).toMatch(/ operations\/[0-9a-f-]{36} is running; next: operation_wait\n/);
    expect(stdout).toMatch(/\n {3}\d of 2\n/);
    expect(stdout).toMatch(/\n {3}archive \/.+first\.tar\.gz, \d+ bytes\n/);
    expect(stdout).toContain("   CANCELLED: the operation was cancelled\n");
    expect(stdout).toMatch(/\n {3}NOT_FOUND: ".+no-such-folder" is not a folder\n/);
    expect(stdout).toContain("   archive must not be empty\n");
    expect(left).toEqual([]);
  });
});
