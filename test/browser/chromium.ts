import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/**
 * Where Chromium is: what `CHROMIUM_PATH` says, else where Debian and Ubuntu put it;
 * undefined where there is none.
 */
export function findChromium(): string | undefined {
  const { CHROMIUM_PATH } = process.env;
  const paths = CHROMIUM_PATH
    ? [CHROMIUM_PATH]
    : ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
  return paths.find((path) => existsSync(path));
}

/** Start it without a window, and without all that it asks the internet of its own accord. */
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
