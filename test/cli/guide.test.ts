import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitCodeMeanings } from "../../src/cli/exit-codes.js";
import { buildCommand, type Command, type CommandProcess } from "./support/command.js";
import { operationsOfEveryState } from "./support/operations-of-every-state.js";

const execute = promisify(execFile);

const chapter = await readFile("docs/guide/command.md", "utf8");

/** Each call of curl, with the JSON that is said to come of it. */
const examples = [...chapter.matchAll(/```sh\n(curl .*?)```\n\n```json\n(.*?)```/gs)].map(
  ([, call = "", answer = ""]) => ({ call, answer }),
);

let command: Command;
let server: CommandProcess;
let directory: string;
let url: string;

beforeAll(async () => {
  command = await buildCommand();
  directory = await mkdtemp(join(tmpdir(), "connect-longrunning-guide-"));
  const [, json = ""] = /<!-- load: operations.json -->\n```json\n(.*?)```/s.exec(chapter) ?? [];
  const { operations } = JSON.parse(json);
  // The operations of the guide among others elsewhere, 30 in all.
  const others = operationsOfEveryState(30 - operations.length).map((operation) => ({
    ...operation,
    name: operation.name.replace("/here/", "/there/"),
  }));
  await writeFile(
    join(directory, "operations.json"),
    JSON.stringify({ operations: [...others, ...operations] }),
  );
  const [, typed = ""] = /```sh\nlongrunning (serve .*)\n```/.exec(chapter) ?? [];
  const args = typed.replaceAll("'", "").replace("--port 8080", "--port 0").split(" ");
  server = command.start(
    ...args.map((arg) => (arg === "operations.json" ? join(directory, arg) : arg)),
  );
  [, url = ""] = await server.wrote("stdout", /listening on (.*)\n/);
});

afterAll(async () => {
  server.process.kill("SIGKILL");
  await server.ended;
  await command.remove();
  await rm(directory, { recursive: true });
});

describe("docs/guide/command.md", () => {
  it("has an example of each method over REST", () => {
    expect(examples.length).toBe(6);
  });

  it.each(examples)("shows what comes of $call", async ({ call, answer }) => {
    const { stdout } = await execute("bash", ["-c", call.replaceAll("http://localhost:8080", url)]);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(answer));
  });

  it("has the exit codes that the command has", () => {
    const rows = exitCodeMeanings.map(([code, meaning]) => `| ${code} | ${meaning} |`);
    expect(chapter).toContain(rows.join("\n"));
  });
});
