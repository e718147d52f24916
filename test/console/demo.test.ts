import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "../../build/bundle-package.js";

it("npm run demo -- --console prints a link to the page and stays up until it is interrupted", async () => {
  const folder = await mkdtemp(join(tmpdir(), "console-demo-"));
  await writeFile(join(folder, "file.txt"), "content");
  const args = ["--import", "tsx", "examples/archive/demo.ts", folder, "--console"];
  const demo = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, TMPDIR: folder },
  });
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let text = "";
      demo.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        const [, found] = /operations are at (\S+) until you press Ctrl-C/.exec(text) ?? [];
        if (found !== undefined) resolve(found);
      });
      demo.once("exit", () => reject(new Error(`the demo ended: ${text}`)));
    });
    const page = await fetch(url);
    expect(await page.text()).toContain('<div id="root">');
    demo.kill("SIGINT");
    const [exitCode] = await once(demo, "exit");
    expect(exitCode).toBe(0);
  } finally {
    demo.kill("SIGKILL");
    await rm(folder, { recursive: true });
  }
}, 60_000);
