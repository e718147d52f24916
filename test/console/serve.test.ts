import { afterEach, describe, expect, it } from "vitest";
import { startCommand } from "../cli/support/command-in-process.js";
import type { RunningCommand } from "../cli/support/running-command.js";

const running: RunningCommand[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) {
    one.interrupt();
    await one.ended;
  }
});

function serve(...args: string[]): RunningCommand {
  const started = startCommand(["serve", "--port", "0", ...args]);
  running.push(started);
  return started;
}

describe("longrunning serve --console", () => {
  it("serves the page and prints its address", async () => {
    const started = serve("--console", "--rest-parent", "projects/*/locations/*");
    const [, url = ""] = await started.wrote("stdout", /^listening on .*\nconsole at (.*)\n/);
    const page = await fetch(url);
    expect([page.status, page.headers.get("content-type")]).toEqual([
      200,
      "text/html; charset=utf-8",
    ]);
    const config = await (await fetch(`${url}config`)).json();
    expect(config).toMatchObject({ parents: ["projects/-/locations/-"], readOnly: false });
  });

  it("prints the address as JSON with --json", async () => {
    const [text] = await serve("--console", "--json").wrote("stdout", /^\{.*\}\n/);
    const { url, consoleUrl } = JSON.parse(text);
    expect(consoleUrl).toBe(`${url}/console/`);
  });

  it("is off by default", async () => {
    const [, url = ""] = await serve().wrote("stdout", /^listening on (.*)\n/);
    expect((await fetch(`${url}/console/`)).status).toBe(404);
  });
});
