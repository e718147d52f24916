import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium, launchChromium } from "../browser/chromium.js";
import { backupOperation } from "./support/backup-operations.js";
import { openConsole, rowSelector } from "./support/console-page.js";
import { type ConsoleServer, startConsoleServer } from "./support/console-server.js";

const chromiumPath = findChromium();

describe.skipIf(chromiumPath === undefined)("the console's accessibility", () => {
  let browser: Browser;
  let server: ConsoleServer;
  let axe: string;

  beforeAll(async () => {
    browser = await launchChromium(chromiumPath ?? "");
    const operations = Array.from({ length: 60 }, (_, at) => backupOperation(at, Date.now()));
    server = await startConsoleServer(operations, { parents: ["projects/shop"] });
    axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  }, 60_000);

  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  /** Returns the violations of every rule of axe, and how far the page is wider than its window. */
  async function faultsOf(page: Page): Promise<string[]> {
    const { violations } = await page.evaluate<AxeResults>("axe.run()");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    return [
      ...violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`),
      ...(overflow > 0 ? [`overflows by ${overflow} px`] : []),
    ];
  }

  describe.each(["light", "dark"] as const)("in %s colors", (colorScheme) => {
    it.each([360, 800, 1600])(
      "has no fault at %i px",
      async (width) => {
        const { page, complaints } = await openConsole(browser, `${server.url}/console/`, {
          viewport: { width, height: 800 },
          colorScheme,
        });
        await page.evaluate(axe);
        await page.locator(rowSelector).first().waitFor();
        expect(await faultsOf(page)).toEqual([]);

        await page.getByLabel("Filter", { exact: true }).fill("nonsense = 1");
        await page.getByLabel("Filter", { exact: true }).press("Enter");
        await page.getByRole("alert").waitFor();
        expect(await faultsOf(page)).toEqual([]);
        await page.getByRole("button", { name: "Failed", exact: true }).click();
        await page.locator(".pill.running").first().waitFor({ state: "detached" });

        await page.getByRole("button", { name: "Cancel all matching…" }).click();
        await page.getByText("No operation matches that could be changed.").waitFor();
        expect(await faultsOf(page)).toEqual([]);
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });

        await page.keyboard.press("?");
        await page.getByText("metadata.tables_done").waitFor();
        expect(await faultsOf(page)).toEqual([]);
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });

        await page.locator(`${rowSelector} a`).first().click();
        await page.locator(".error-card").waitFor();
        await page.getByText("JSON", { exact: true }).click();
        expect(await faultsOf(page)).toEqual([]);
        await page.getByRole("button", { name: "Delete…" }).click();
        await page.getByRole("dialog").waitFor();
        expect(await faultsOf(page)).toEqual([]);
        await page.close();
        expect(complaints).toEqual([]);
      },
      60_000,
    );
  });
});
