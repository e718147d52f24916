/**
 * Writes the pictures of the console in `docs/console`: the list, a failed operation and the bulk
 * cancellation, in both color schemes. Needs Chromium, at `CHROMIUM_PATH` or at Debian's path.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findChromium, launchChromium } from "../test/browser/chromium.js";
import { backupOperation } from "../test/console/support/backup-operations.js";
import { startConsoleServer } from "../test/console/support/console-server.js";
import { bundleConsole } from "./bundle-console.js";
import { root } from "./bundle-package.js";

const folder = join(root, "docs/console");
const chromium = findChromium();
if (chromium === undefined) throw new Error("there is no Chromium: set CHROMIUM_PATH");

await mkdir(folder, { recursive: true });
await bundleConsole(join(root, "dist/console/assets.js"));
const nowMs = Date.now();
const operations = Array.from({ length: 240 }, (_, index) => backupOperation(index, nowMs));
const server = await startConsoleServer(operations, {
  title: "Shop backups",
  parents: ["projects/shop", "projects/-"],
});
const browser = await launchChromium(chromium);
try {
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await browser.newPage({
      viewport: { width: 1200, height: 720 },
      colorScheme,
      reducedMotion: "reduce",
    });
    const devTools = await page.context().newCDPSession(page);
    const save = async (name: string) => {
      await page.mouse.move(0, 0);
      const { data } = await devTools.send("Page.captureScreenshot", {
        format: "webp",
        quality: 85,
      });
      await writeFile(join(folder, `${name}-${colorScheme}.webp`), data, "base64");
    };
    await page.goto(`${server.url}/console/`);
    await page.locator("[data-row='8']").waitFor();
    await save("list");
    await page.locator("[data-row]:has(.failed) a").first().click();
    await page.locator(".error-card").waitFor();
    await save("failed");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Running", exact: true }).click();
    await page.locator(".pill.failed").first().waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Cancel all matching…" }).click();
    await page.getByRole("dialog").getByRole("textbox").fill("5");
    await save("bulk-cancel");
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
}
