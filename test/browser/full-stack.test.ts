import { type AddressInfo, createServer as createNetServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { createServer, type ViteDevServer } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCountingServer } from "../../examples/full-stack/server.js";
import { findChromium, launchChromium } from "./chromium.js";

const executable = findChromium();
const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

describe.skipIf(executable === undefined)("the full-stack example in Chromium", () => {
  const service = createCountingServer();
  let site: ViteDevServer;
  let browser: Browser;
  let address: string;

  beforeAll(async () => {
    const { url } = await service.listen();
    process.env.SERVICE_URL = url;
    site = await createServer({
      root: at("examples/full-stack"),
      configFile: at("examples/full-stack/vite.config.ts"),
      cacheDir: at(".cache/vite"),
      logLevel: "silent",
      // The example names the package as its users do.
      resolve: {
        alias: [
          { find: /^connect-longrunning$/, replacement: at("src/index.ts") },
          { find: /^connect-longrunning\/protos$/, replacement: at("src/protos.ts") },
          { find: /^connect-longrunning\/gen\/(.*)\.js$/, replacement: at("gen/$1.ts") },
        ],
      },
      server: {
        port: await freePort(),
        strictPort: true,
        host: "127.0.0.1",
        fs: { allow: [at(".")] },
      },
    });
    await site.listen();
    address = site.resolvedUrls?.local[0] ?? "";
    browser = await launchChromium(executable ?? "");
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await service.close({ graceMs: 0 });
  });

  async function openPage(): Promise<Page> {
    const page = await (await browser.newContext()).newPage();
    await page.goto(address);
    return page;
  }

  async function start(page: Page, limit: number) {
    await page.getByLabel("Count to").fill(String(limit));
    await page.getByRole("button", { name: "Start" }).click();
    await page
      .getByRole("status")
      .filter({ hasText: /^counted [1-9]/ })
      .waitFor();
  }

  const ended = (page: Page, text: string) =>
    page.getByRole("status").filter({ hasText: text }).waitFor();

  it("shows the progress and the end", async () => {
    const page = await openPage();
    await start(page, 15);
    await ended(page, "succeeded");
    expect(
      await page.getByRole("progressbar").evaluate((bar) => (bar as HTMLProgressElement).value),
    ).toBe(15);
  });

  it("cancels", async () => {
    const page = await openPage();
    await start(page, 1000);
    await page.getByRole("button", { name: "Cancel" }).click();
    await ended(page, "cancelled");
  });

  it("resumes after a reload", async () => {
    const page = await openPage();
    await start(page, 40);
    await page.reload();
    await page
      .getByRole("status")
      .filter({ hasText: /^counted [1-9]/ })
      .waitFor();
    await ended(page, "succeeded");
    expect(await page.evaluate(() => localStorage.getItem("operation"))).toBeNull();
  });
});

async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
