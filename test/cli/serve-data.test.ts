import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { exitCodes } from "../../src/cli/exit-codes.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";
import { runCommand, startCommand } from "./support/command-in-process.js";
import { operationsOfEveryState } from "./support/operations-of-every-state.js";

const parent = "projects/demo/locations/here";

/** Serve on a free port until `stop`, which gives what was written to standard error. */
async function serve(...args: string[]) {
  const started = startCommand(["serve", "--port", "0", ...args]);
  const [, url = ""] = await started.wrote("stdout", /^listening on (.*)\n/);
  return {
    url,
    async stop() {
      started.interrupt();
      return (await started.ended).stderr;
    },
  };
}

/** A page of two, with the token behind --page-token in the output for a person. */
async function page(url: string, ...options: string[]) {
  const args = ["list", parent, "--server", url, "--page-size", "2", ...options];
  const { exitCode, stdout, stderr } = await runCommand(...args);
  const [, token = ""] = /--page-token '(.+)'/.exec(stderr) ?? [];
  return { exitCode, stdout, token };
}

async function listed(url: string): Promise<unknown> {
  const { stdout } = await runCommand("list", parent, "--server", url, "--all", "--json");
  return JSON.parse(stdout).operations;
}

describe("longrunning serve --data", () => {
  it("keeps to the file where the environment names a database", async () => {
    const data = join(await createTemporaryFolder(), "operations.db");
    vi.stubEnv("LONGRUNNING_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    onTestFinished(() => void vi.unstubAllEnvs());
    const { url, stop } = await serve("--data", data);
    expect(await listed(url)).toEqual([]);
    await stop();
    expect((await stat(data)).isFile()).toBe(true);

    const { exitCode, stderr } = await runCommand("serve", "--port", "0");
    expect([exitCode, stderr]).toEqual([
      exitCodes.unreachable,
      expect.stringContaining("the database cannot be reached now"),
    ]);
  });

  it("serves what it served before a restart, and takes the page tokens of then", async () => {
    const folder = await createTemporaryFolder();
    const [data, load] = [join(folder, "operations.db"), join(folder, "operations.json")];
    const operations = operationsOfEveryState(6);
    await writeFile(load, JSON.stringify({ operations }));

    const first = await serve("--data", data, "--load", load);
    const { token } = await page(first.url);
    const [running] = operations.filter(({ done }) => !done);
    const name = running?.name ?? "";
    const cancelled = await runCommand("cancel", name, "--server", first.url);
    expect(cancelled.exitCode).toBe(exitCodes.success);
    const before = await listed(first.url);
    expect(await first.stop()).toBe("");

    const second = await serve("--data", data, "--load", load);
    expect(await listed(second.url)).toEqual(before);
    const wait = await runCommand("wait", name, "--server", second.url);
    expect(wait.exitCode).toBe(exitCodes.cancelled);
    const next = await page(second.url, "--page-token", token);
    expect(next).toMatchObject({ exitCode: exitCodes.success });
    expect(next.stdout).toContain(operations[2]?.name);
    expect(await second.stop()).toContain("6 of its operations are there already");
  });

  it("keeps the key of its page tokens in a file that no other user can read", async () => {
    const data = join(await createTemporaryFolder(), "operations.db");
    const { stop } = await serve("--data", data);
    await stop();
    const path = `${data}-page-token-key`;
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(Buffer.from(await readFile(path, "utf8"), "base64").length).toBe(32);
  });

  it("refuses a file that another server has, and says what to do", async () => {
    const data = join(await createTemporaryFolder(), "operations.db");
    const { stop } = await serve("--data", data);
    const { exitCode, stdout, stderr } = await runCommand("serve", "--port", "0", "--data", data);
    await stop();
    expect([exitCode, stdout]).toEqual([exitCodes.usage, ""]);
    expect(stderr).toContain("operations.db is open elsewhere: stop the server");
  });

  it("gives the file free where something else is wrong", async () => {
    const data = join(await createTemporaryFolder(), "operations.db");
    const wrong = await runCommand("serve", "--data", data, "--rest-parent", "a/{b");
    expect(wrong.exitCode).toBe(exitCodes.usage);
    const { stop } = await serve("--data", data);
    expect(await stop()).toBe("");
  });
});

describe("the key for page tokens", () => {
  const key = Buffer.alloc(32, 7).toString("base64");

  it("is taken from a file and from the environment, and is the same then", async () => {
    const folder = await createTemporaryFolder();
    const [path, load] = [join(folder, "key"), join(folder, "operations.json")];
    await writeFile(path, `${key}\n`);
    await writeFile(load, JSON.stringify({ operations: operationsOfEveryState(6) }));
    const data = join(folder, "operations.db");
    const first = await serve("--data", data, "--load", load, "--page-token-key-file", path);
    const { token } = await page(first.url);
    await first.stop();

    vi.stubEnv("LONGRUNNING_PAGE_TOKEN_KEY", key);
    const second = await serve("--data", data);
    vi.unstubAllEnvs();
    expect((await page(second.url, "--page-token", token)).exitCode).toBe(exitCodes.success);
    await second.stop();

    const third = await serve("--data", data);
    expect((await page(third.url, "--page-token", token)).exitCode).toBe(exitCodes.refused);
    await third.stop();
  });

  it.each(["", "abc", "AAAA", "not base64!", `${key}AAAA`])(
    "is refused where it is %j, which is not shown",
    async (text) => {
      const path = join(await createTemporaryFolder(), "key");
      await writeFile(path, text);
      const { exitCode, stderr } = await runCommand("serve", "--page-token-key-file", path);
      expect(exitCode).toBe(exitCodes.usage);
      expect(stderr).toBe(
        `error: ${path} must hold 32 bytes in base64\n  make a key with: openssl rand -base64 32\n`,
      );
    },
  );
});
