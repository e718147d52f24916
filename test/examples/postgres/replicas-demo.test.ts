import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { extract } from "tar";
import { assert, describe, expect, it } from "vitest";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Runs the demo, and resolves with its output. */
function runDemo(folder: string, databaseUrl: string, temporary: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      ["--import", "tsx", join(root, "examples", "replicas", "demo.ts"), folder],
      { cwd: root, env: { ...process.env, DATABASE_URL: databaseUrl, TMPDIR: temporary } },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${stdout}\n${stderr}`, { cause: error }));
      },
    );
  });
}

describe("the demo of replicas", () => {
  it("goes on from the checkpoint of a process that was killed, and makes a whole archive", async () => {
    const { url } = await createTestDatabase();
    const directory = await createTemporaryFolder();
    const [folder, temporary, out] = ["folder", "tmp", "out"].map((name) => join(directory, name));
    assert(folder && temporary && out);
    for (const path of [folder, temporary, out]) await mkdir(path);
    // Parts of 32 files each.
    for (let at = 0; at < 320; at += 1) await writeFile(join(folder, `${at}.txt`), `file ${at}`);

    const printed = await runDemo(folder, url, temporary);
    const { from } = /attempt 2 runs in process \d+, .* from (?<from>\d+) files on/.exec(printed)
      ?.groups ?? { from: "" };
    expect(Number(from)).toBeGreaterThanOrEqual(32);

    const { archive = "" } = /archive {2}(?<archive>.*)/.exec(printed)?.groups ?? {};
    await extract({ file: archive, cwd: out });
    const names = await readdir(out);
    expect(names).toHaveLength(320);
    for (const name of names) {
      expect(await readFile(join(out, name), "utf8")).toBe(
        await readFile(join(folder, name), "utf8"),
      );
    }
    const left = await readdir(join(archive, ".."));
    // The next attempt removes the files of the killed attempt.
    expect(left).toEqual(["folder.tar.gz"]);
  }, 60_000);
});
