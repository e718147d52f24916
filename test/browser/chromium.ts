import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/**
 * Finds Chromium: at `CHROMIUM_PATH` if it is set, else at the paths of Debian and Ubuntu.
 * Returns undefined if Chromium is not there.
 */
export function findChromium(): string | undefined {
  const { CHROMIUM_PATH } = process.env;
  const paths = CHROMIUM_PATH
    ? [CHROMIUM_PATH]
    : ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
  return paths.find((path) => existsSync(path));
}

/** Starts Chromium without a window, and without its own requests to the internet. */
export function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
