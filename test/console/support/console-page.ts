import type { Browser, Page } from "playwright-core";

/** A page of the console in Chromium. */
export interface ConsolePage {
  readonly page: Page;
  /** Errors of scripts, messages of the browser's console, and requests to other origins. */
  readonly complaints: string[];
  /** The paths of all requests so far, without the query. */
  readonly requests: string[];
}

/** Opens an address in a new tab and notes what should not happen there. */
export async function openConsole(
  browser: Browser,
  url: string,
  options: Parameters<Browser["newPage"]>[0] = {},
): Promise<ConsolePage> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  const requests: string[] = [];
  const { origin } = new URL(url);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // Chromium prints each response with a status from 400 up.
    if (!message.text().startsWith("Failed to load resource")) complaints.push(message.text());
  });
  page.on("request", (request) => {
    const requested = new URL(request.url());
    if (requested.origin !== origin) complaints.push(`requests ${request.url()}`);
    requests.push(requested.pathname);
  });
  await page.goto(url);
  return { page, complaints, requests };
}

/** The rows of the list that are in the document. */
export const rowSelector = "[role=row][data-row]";

/** Tells the page that its tab is in the background, or visible again. */
export async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((isHidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}
