import assert from "node:assert/strict";
import type { JsonValue } from "@bufbuild/protobuf";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from "vitest";
import { findChromium, launchChromium } from "./chromium.js";
import type { HttpServer } from "./http-server.js";
import { startPageServer } from "./page-server.js";
import type { WireName } from "./print-page.js";
import { type RpcServer, startRpcServer } from "./rpc-server.js";

const chromiumPath = findChromium();
if (chromiumPath === undefined) {
  console.warn(
    "The browser tests are skipped: there is no Chromium at $CHROMIUM_PATH, or, where that is " +
      "not set, at /usr/bin/chromium or /usr/bin/chromium-browser.",
  );
}

const wires: readonly WireName[] = ["Connect in binary", "Connect in JSON", "gRPC-Web"];

describe.skipIf(chromiumPath === undefined)("a page in Chromium", () => {
  let browser: Browser | undefined;
  let pages: HttpServer;
  let page: Page;
  let server: RpcServer;
  /** The console's output, the page's errors, and its failed requests. */
  let complaints: string[];

  beforeAll(async () => {
    pages = await startPageServer();
    browser = await launchChromium(chromiumPath ?? "");
    page = await browser.newPage();
    page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("requestfailed", (request) => {
      complaints.push(`${lastPartOf(request.url())}: ${request.failure()?.errorText}`);
    });
    for (const gate of ["waited", "waitedNoMore", "goOn"] as const) {
      await page.exposeFunction(gate, (name: string) => server[gate](name));
    }
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await pages.close();
  });

  beforeEach(async () => {
    complaints = [];
    server = await startRpcServer(pages.origin);
  });

  afterEach(async () => {
    assert.deepEqual(await server.close(), []);
  });

  /** Open the page anew. */
  async function openPage(wire: WireName): Promise<void> {
    await page.goto(`${pages.origin}/?${new URLSearchParams({ wire, baseUrl: server.origin })}`);
  }

  /** Leave the page, which would cut a request that is still open, and see what it complained of. */
  async function complaintsAtEnd(): Promise<string[]> {
    await page.goto("about:blank");
    return complaints;
  }

  it("calls by Google's grpc-web (mode=grpcweb)", async () => {
    await openPage("gRPC-Web");
    const seen = await page.evaluate(() => window.printPage.getByGrpcWeb());
    assert.deepEqual(masked(seen), {
      name: "printers/p/operations/ID",
      done: false,
      missing: { code: 5, message: 'operation "printers/p/operations/nobody" does not exist' },
    });
    await page.evaluate(() => window.goOn());
    assert.deepEqual(await complaintsAtEnd(), []);
  });

  describe.each(wires)("over %s", (wire) => {
    it("starts an operation and watches it to its end", async () => {
      await openPage(wire);
      assert.deepEqual(await page.evaluate(() => window.printPage.watch()), {
        seen: [
          { kind: "running" },
          { kind: "running", metadata: { pagesPrinted: 1 } },
          { kind: "running", metadata: { pagesPrinted: 2 } },
          { kind: "succeeded", metadata: { pagesPrinted: 2 }, response: { pages: 2 } },
        ],
        result: { pages: 2 },
      });
      assert.deepEqual(await complaintsAtEnd(), []);
    });

    it("sees that an operation was cancelled", async () => {
      await openPage(wire);
      assert.deepEqual(masked(await page.evaluate(() => window.printPage.cancel())), {
        kind: "cancelled",
        name: "printers/p/operations/ID",
        code: "Canceled",
        message: "the operation was cancelled",
        infos: [{ reason: "CANCELLED_BY_REQUEST", domain: "connect-longrunning" }],
      });
      assert.deepEqual(await complaintsAtEnd(), []);
    });

    it("takes up an operation by the token of a page that is gone", async () => {
      await openPage(wire);
      const token = await page.evaluate(() => window.printPage.start());
      await openPage(wire);
      const resumed = await page.evaluate((json) => window.printPage.resume(json), token);
      assert.deepEqual(masked(resumed), {
        token: {
          v: 1,
          method: "printing.v1.PrintService/Print",
          response: "printing.v1.PrintResponse",
          metadata: "printing.v1.PrintMetadata",
          name: "printers/p/operations/ID",
          requestId: "ID",
        },
        ended: { kind: "succeeded", metadata: { pagesPrinted: 1 }, response: { pages: 1 } },
      });
      assert.deepEqual(await complaintsAtEnd(), []);
    });

    it("stops waiting, and the server with it, while the operation goes on", async () => {
      await openPage(wire);
      const [observed] = await Promise.all([
        page.evaluate(() => window.printPage.abort()),
        page.waitForEvent("requestfailed"),
      ]);
      assert.deepEqual(masked(observed), {
        error: {
          kind: "aborted",
          name: "printers/p/operations/ID",
          code: "Canceled",
          message: 'waiting for operation "printers/p/operations/ID" was aborted',
          infos: [],
          cause: "Error: the reader has left",
        },
        done: false,
        result: { pages: 1 },
      });
      assert.deepEqual(await complaintsAtEnd(), ["WaitOperation: net::ERR_ABORTED"]);
    });

    it("cancels one of 20 awaited operations within a second, over HTTP/1.1", async () => {
      await openPage(wire);
      const { kind, startsMs, cancelMs, settledMs } = await page.evaluate(() =>
        window.printPage.crowd(20),
      );
      assert.equal(kind, "cancelled");
      // A busy machine takes longer for the 20 starts, too. A cancellation that had to wait for a
      // connection would take as long as the server holds a poll.
      const limitMs = Math.max(1000, 10 * startsMs);
      assert.ok(
        cancelMs < limitMs,
        `CancelOperation took ${cancelMs} ms, the starts ${startsMs} ms`,
      );
      assert.ok(settledMs < limitMs, `the result took ${settledMs} ms, the starts ${startsMs} ms`);
      await page.goto("about:blank");
    });

    it("reads the code and the details of an operation's error", async () => {
      await openPage(wire);
      assert.deepEqual(masked(await page.evaluate(() => window.printPage.fail())), {
        kind: "failed",
        name: "printers/p/operations/ID",
        code: "FailedPrecondition",
        message: "kein Papier – 紙がない",
        infos: [{ reason: "NO_PAGES", domain: "printing.example.com" }],
      });
      assert.deepEqual(await complaintsAtEnd(), []);
    });

    it("reads the code and the details of a call's error", async () => {
      await openPage(wire);
      // Connect answers with a status of HTTP, and Chromium prints each from 400 up.
      const isPrinted = wire !== "gRPC-Web";
      const [observed] = await Promise.all([
        page.evaluate(() => window.printPage.miss()),
        isPrinted && page.waitForEvent("console"),
      ]);
      assert.deepEqual(observed, {
        code: "NotFound",
        message: 'operation "printers/p/operations/nobody" does not exist',
        infos: [
          {
            reason: "OPERATION_NOT_FOUND",
            domain: "connect-longrunning",
            metadata: { name: "printers/p/operations/nobody" },
          },
        ],
      });
      const notFound =
        "error: Failed to load resource: the server responded with a status of 404 (Not Found)";
      assert.deepEqual(await complaintsAtEnd(), isPrinted ? [notFound] : []);
    });
  });
});

/** The observation with its UUIDs masked. */
function masked(observed: JsonValue): JsonValue {
  const id = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
  return JSON.parse(JSON.stringify(observed).replace(id, "ID"));
}

/** The called method, without its service. */
function lastPartOf(url: string): string {
  return new URL(url).pathname.replace(/^.*\//, "");
}
