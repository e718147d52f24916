import { create } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, assert, beforeAll, describe, expect, it } from "vitest";
import type { ConsoleOptions } from "../../src/console/index.js";
import { type Operation, OperationSchema } from "../../src/protos.js";
import type { OperationsOptions } from "../../src/server/index.js";
import { connectPostgres } from "../../src/store/postgres/index.js";
import { findChromium, launchChromium } from "../browser/chromium.js";
import { CreateBackupMetadataSchema } from "../gen/backups/v1/backups_pb.js";
import { createTestDatabase } from "../support/postgres/test-database.js";
import { backupOperation } from "./support/backup-operations.js";
import { CreateBackup } from "./support/backups.js";
import { type ConsolePage, openConsole, rowSelector, setHidden } from "./support/console-page.js";
import { type ConsoleServer, startConsoleServer } from "./support/console-server.js";

const chromiumPath = findChromium();
const parent = "projects/shop";
const parents = [parent];
const backups = (count: number, nowMs = Date.now()): Operation[] =>
  Array.from({ length: count }, (_, index) => backupOperation(index, nowMs));

describe.skipIf(chromiumPath === undefined)("the console in Chromium", () => {
  let browser: Browser;
  const closing: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    browser = await launchChromium(chromiumPath ?? "");
  }, 60_000);

  afterAll(() => browser.close());

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function serve(
    operations: readonly Operation[],
    options: ConsoleOptions = {},
    settings: OperationsOptions = {},
  ): Promise<ConsoleServer> {
    const server = await startConsoleServer(operations, { parents, ...options }, settings);
    closing.push(server.close);
    return server;
  }

  async function open(
    { url }: { readonly url: string },
    query = "",
    options: Parameters<typeof openConsole>[2] = {},
  ): Promise<ConsolePage> {
    const opened = await openConsole(browser, `${url}/console/${query}`, options);
    closing.push(async () => {
      await opened.page.close();
      expect(opened.complaints).toEqual([]);
    });
    return opened;
  }

  const rowWith = (page: Page, text: string) => page.locator(rowSelector, { hasText: text });

  describe.each(["memory", "PostgreSQL"] as const)("on a server in %s", (place) => {
    let database: Awaited<ReturnType<typeof createTestDatabase>> | undefined;
    beforeAll(async () => {
      if (place === "PostgreSQL") database = await createTestDatabase();
    });

    async function settings(): Promise<OperationsOptions> {
      if (database === undefined) return {};
      await database.pool.query("drop schema if exists longrunning cascade");
      return connectPostgres({ connectionString: database.url, maxConnections: 5 });
    }

    it("lists operations with method, state, progress and times, in the server's order", async () => {
      const server = await serve(backups(8), {}, await settings());
      const { page } = await open(server);
      const rows = page.locator(rowSelector);
      await rows.nth(7).waitFor();
      const [first, fourth, sixth] = await Promise.all(
        [0, 3, 5].map((at) => rows.nth(at).innerText()),
      );
      expect(first).toMatch(
        /running\s+BackupService\.CreateBackup[\s\S]*12% · 6 of 48 · copying orders/,
      );
      expect(fourth).toMatch(/BackupService\.RestoreBackup[\s\S]*45% · LOADING/);
      expect(sixth).toMatch(/failed[\s\S]*FAILED_PRECONDITION: the bucket of "catalogue" refuses/);
      const started = rows.nth(0).locator(".started time");
      expect(await started.innerText()).toMatch(/^\d+s ago$/);
      expect(await started.getAttribute("title")).toMatch(/\(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/);
    });

    it("follows one operation by a held wait, and the list by lists, to the end", async () => {
      const server = await serve([], {}, await settings());
      const { operations } = server;
      const { name } = await operations.create(CreateBackup, {}, { parent });
      await operations.report(CreateBackup, name, { tablesDone: 1, tablesTotal: 4 });
      const { page } = await open(server, `?op=${name}`);
      const detail = page.getByRole("article", { name: "Operation" });
      await detail.getByText("25% · 1 of 4").first().waitFor();
      await operations.report(CreateBackup, name, { tablesDone: 2, tablesTotal: 4 });
      await operations.succeed(CreateBackup, name, { name: "backups/7", sizeBytes: 42n });
      await detail.getByText("succeeded").first().waitFor();
      await detail.getByText("backups/7").waitFor();
      await rowWith(page, "succeeded").waitFor();
      expect(server.calls.get("WaitOperation") ?? 0).toBeGreaterThan(0);
      const seen = await detail.locator(".timeline li").allInnerTexts();
      expect(seen.at(0)).toMatch(/opened: running, 25% · 1 of 4/);
      expect(seen.at(-1)).toMatch(/succeeded/);
    });

    it("cancels and deletes after a confirmation that names the operation", async () => {
      const server = await serve(backups(3), {}, await settings());
      const { page } = await open(server);
      const [running] = backups(1);
      assert(running !== undefined);
      const row = page.locator(rowSelector).first();
      await row.locator("a").click();
      const name = (await page.locator(".detail-pane .name bdi").innerText()).trim();
      const detail = page.getByRole("article", { name: "Operation" });
      await detail.getByRole("button", { name: "Cancel…" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText(name).waitFor();
      await dialog.getByRole("button", { name: "Cancel operation" }).click();
      await page.getByText("The server was asked to cancel it.").waitFor();
      await server.operations.fail(name, new ConnectError("stopped", Code.Canceled));
      await detail.getByText("cancelled").first().waitFor();
      await detail.getByRole("button", { name: "Delete…" }).click();
      await dialog.getByRole("button", { name: "Delete operation" }).click();
      await page.getByText("Deleted.").waitFor();
      expect(await page.locator(rowSelector).count()).toBe(2);
      expect(new URL(page.url()).search).toBe("");
    });

    it("cancels all operations of a filter, after their number was typed", async () => {
      const server = await serve(backups(30), {}, await settings());
      const { page } = await open(server);
      await page.getByRole("button", { name: "Running", exact: true }).click();
      await page.waitForFunction(
        (rows) => document.querySelectorAll(rows).length === 5,
        rowSelector,
      );
      await page.getByRole("button", { name: "Cancel all matching…" }).click();
      const dialog = page.getByRole("dialog");
      const go = dialog.getByRole("button", { name: "Cancel 5 operations" });
      await go.waitFor();
      expect(await go.isDisabled()).toBe(true);
      await dialog.getByRole("textbox").fill("4");
      expect(await go.isDisabled()).toBe(true);
      await dialog.getByRole("textbox").fill("5");
      await go.click();
      await dialog.getByText("The server was asked to cancel 5 of 5 operations.").waitFor();
      expect(server.calls.get("CancelOperation")).toBe(5);
    });
  });

  it("keeps the parent, the filter and the open operation in the address", async () => {
    const server = await serve(backups(30));
    const { page } = await open(server);
    await page.locator(rowSelector).first().waitFor();
    await page.getByRole("button", { name: "Failed", exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll(".pill:not(.failed)").length === 0);
    await page.locator(`${rowSelector} a`).first().click();
    await page.locator(".error-card").waitFor();
    const shared = page.url();
    const other = await openConsole(browser, shared);
    closing.push(() => other.page.close());
    await other.page.locator(".error-card").waitFor();
    expect(await other.page.getByLabel("Filter", { exact: true }).inputValue()).toContain(
      "error:*",
    );
    await page.goBack();
    await page.locator(".error-card").waitFor({ state: "detached" });
    await page.goBack();
    await page.locator(".pill.running").first().waitFor();
  });

  it("lists below a parent that is typed, with wildcards, and opens a typed name", async () => {
    const server = await serve(backups(3));
    const { page } = await open(server);
    await page.locator(rowSelector).first().waitFor();
    await page.getByLabel("Parent").fill("projects/other");
    await page.getByLabel("Parent").press("Enter");
    await page.getByText("No operations yet").waitFor();
    await page.getByLabel("Parent").fill("projects/-");
    await page.getByLabel("Parent").press("Enter");
    await page.locator(rowSelector).nth(2).waitFor();
    const [, second] = backups(2);
    const name = await page.locator(`${rowSelector} .row-name`).nth(1).innerText();
    expect(name.slice(0, 25)).toBe(second?.name.slice(0, 25));
    await page.getByLabel("Filter", { exact: true }).fill(name);
    await page.getByLabel("Filter", { exact: true }).press("Enter");
    await page.locator(".detail-pane .name").getByText(name).waitFor();
  });

  it("shows a fault of the filter at its column, and the way back from an empty list", async () => {
    const server = await serve(backups(3));
    const { page } = await open(server);
    await page.locator(rowSelector).first().waitFor();
    await page.getByLabel("Filter", { exact: true }).fill("done = true AND nonsense = 1");
    await page.getByLabel("Filter", { exact: true }).press("Enter");
    const fault = page.getByRole("alert");
    await fault.getByText("column 17").first().waitFor();
    expect(await page.locator(".fault pre").innerText()).toBe(
      `done = true AND nonsense = 1\n${" ".repeat(16)}^`,
    );
    await page.getByLabel("Filter", { exact: true }).fill('name = "operations/none"');
    await page.getByLabel("Filter", { exact: true }).press("Enter");
    await page.getByText("No operation matches the filter").waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await page.locator(rowSelector).nth(2).waitFor();
  });

  it("shows every standard detail of an error, and unknown types as bytes", async () => {
    const server = await serve(backups(8));
    const { page } = await open(server);
    await page.locator(`${rowSelector}:has(.failed) a`).first().click();
    const card = page.locator(".error-card");
    await card.getByText("BUCKET_LOCKED").waitFor();
    const text = await card.innerText();
    expect(text).toMatch(/Retry after 900s, from /);
    expect(await card.locator("table tbody tr").count()).toBe(2);
    const link = card.getByRole("link", { name: "Unlock a bucket" });
    expect(await link.getAttribute("href")).toBe("https://backups.example.com/docs/locks");
    expect(await link.getAttribute("rel")).toBe("noopener noreferrer");
    expect(text).toContain("type.example.com/internal.v1.Trace");
    expect(text).toContain("CJYBEgR0ZXN0");
    await page.getByText("JSON", { exact: true }).click();
    expect(await page.getByRole("region", { name: "JSON" }).innerText()).toContain('"code": 9');
  });

  it("shows hostile payloads as text, and keeps its layout", async () => {
    const markup = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    const nested = (depth: number): unknown => (depth === 0 ? "deep" : { in: nested(depth - 1) });
    const metadata = create(CreateBackupMetadataSchema, {
      database: `${markup}\u202egnp.exe`,
      statusMessage: `${markup}\u0007${"w".repeat(1_000_000)}`,
      annotations: { nested: nested(20), markup } as never,
    });
    const name = `${parent}/operations/hostile`;
    const hostile = create(OperationSchema, {
      name,
      metadata: anyPack(CreateBackupMetadataSchema, metadata),
    });
    const tooDeep = create(OperationSchema, {
      name: `${parent}/operations/too-deep`,
      metadata: anyPack(
        CreateBackupMetadataSchema,
        create(CreateBackupMetadataSchema, { annotations: { nested: nested(300) } as never }),
      ),
    });
    const broken = create(OperationSchema, {
      name: `${parent}/operations/broken`,
      metadata: create(AnySchema, {
        typeUrl: "type.googleapis.com/backups.v1.CreateBackupMetadata",
        value: new Uint8Array([10, 255, 255, 255]),
      }),
    });
    const server = await serve([hostile, broken, tooDeep]);
    for (const width of [360, 1280]) {
      const { page } = await open(server, `?op=${name}`, { viewport: { width, height: 800 } });
      await page.getByText("annotations").waitFor();
      const text = await page.locator(".detail-pane").innerText();
      expect(text).toContain(markup);
      expect(text).toContain("\\u202egnp.exe");
      expect(text).not.toContain("\u202e");
      expect(text).not.toContain("\u0007");
      expect(await page.locator("img").count()).toBe(0);
      expect(await page.title()).toBe("Operations");
      expect(await page.evaluate(overflow)).toBe(0);
      await page.getByText("JSON", { exact: true }).click();
      expect(await page.evaluate(overflow)).toBe(0);
      for (const other of ["broken", "too-deep"]) {
        await page.goto(page.url().replace("hostile", other));
        await page.getByText("its bytes cannot be read").waitFor();
        expect(await page.evaluate(overflow)).toBe(0);
      }
      await page.keyboard.press("Escape");
      await page.locator(rowSelector).nth(2).waitFor();
      const heights = await page
        .locator(rowSelector)
        .evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
      expect(new Set(heights).size).toBe(1);
    }
  });

  it("offers no action if it is read-only, and hides actions that the server lacks", async () => {
    const readOnly = await serve(backups(3), { readOnly: true });
    const shown = await open(readOnly, "?filter=done+%3D+false");
    await shown.page.locator(`${rowSelector} a`).first().click();
    await shown.page.getByText("read-only").waitFor();
    expect(await shown.page.getByRole("button", { name: /Cancel|Delete/ }).count()).toBe(1);

    const lacking = await serve(
      backups(3),
      {},
      {
        authorize: ({ action }) => {
          if (action === "cancel") throw new ConnectError("no such method", Code.Unimplemented);
          return { allow: true };
        },
      },
    );
    const { page } = await open(lacking);
    await page.locator(`${rowSelector} a`).first().click();
    await page.getByRole("button", { name: "Cancel…" }).click();
    await page.getByRole("button", { name: "Cancel operation" }).click();
    await page.getByText("The server cannot cancel operations.").waitFor();
    expect(await page.getByRole("button", { name: "Cancel…" }).count()).toBe(0);
    expect(await page.getByRole("button", { name: "Delete…" }).count()).toBe(1);
  });

  it("shows the server's refusal of an action", async () => {
    const server = await serve(
      backups(3),
      {},
      {
        authorize: ({ action }) => ({ allow: action !== "delete" }),
      },
    );
    const { page } = await open(server);
    await page.locator(`${rowSelector} a`).first().click();
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete operation" }).click();
    await page.getByRole("dialog").getByText("PERMISSION_DENIED").waitFor();
    await page.getByRole("button", { name: "Keep it" }).click();
    expect(await page.locator(rowSelector).count()).toBe(3);
  });

  it("asks for credentials where the server wants them, and keeps them in memory alone", async () => {
    const seen: (string | null)[] = [];
    const server = await serve(
      backups(3),
      {},
      {
        authorize: ({ context }) => {
          const value = context.requestHeader.get("authorization");
          seen.push(value);
          if (value !== "Bearer secret") throw new ConnectError("who?", Code.Unauthenticated);
          return { allow: true };
        },
      },
    );
    const { page } = await open(server);
    const dialog = page.getByRole("dialog", { name: "The server wants credentials" });
    await dialog.getByLabel("Authorization").fill("Bearer secret\n");
    await dialog.getByRole("button", { name: "Use it" }).click();
    await page.locator(rowSelector).nth(2).waitFor();
    expect(seen.at(-1)).toBe("Bearer secret");
    const stored = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]),
    );
    expect(stored).not.toContain("secret");
    await page.reload();
    await dialog.waitFor();
  });

  it("says that the server is away, and goes on by itself when it is back", async () => {
    const server = await serve(backups(3));
    const { page } = await open(server);
    await page.locator(rowSelector).nth(2).waitFor();
    await page.route("**/rpc/**", (route) => route.abort());
    await page.getByText("The list cannot be loaded").waitFor();
    await page.getByText("not connected").waitFor();
    await page.unroute("**/rpc/**");
    await page.getByRole("button", { name: "Try now" }).click();
    await page.getByText("live", { exact: true }).waitFor();
    await page.context().setOffline(true);
    await page.getByText("This machine is offline").waitFor();
    await page.context().setOffline(false);
    await page.getByText("live", { exact: true }).waitFor();
  });

  it("calls nothing in a background tab, and catches up in the foreground", async () => {
    const server = await serve(backups(3));
    const { operations } = server;
    const { name } = await operations.create(CreateBackup, {}, { parent });
    const { page, requests } = await open(server, `?op=${name}`);
    await page.getByText("Runs for").waitFor();
    await setHidden(page, true);
    const before = requests.length;
    await operations.succeed(CreateBackup, name, {});
    // Longer than two rounds of the list.
    await page.waitForTimeout(5000);
    expect(requests.length).toBe(before);
    await setHidden(page, false);
    await page.locator(".detail-pane .pill.succeeded").waitFor();
  });

  it("asks at most 60 times a minute with 1,000 running operations", async () => {
    const base = backups(1)[0];
    assert(base !== undefined);
    const many = Array.from({ length: 1000 }, (_, index) =>
      create(OperationSchema, { ...base, name: `${parent}/operations/run-${index}` }),
    );
    const server = await serve(many);
    const { page, requests } = await open(server);
    await page.locator(rowSelector).first().waitFor();
    await page.locator(`${rowSelector} a`).first().click();
    await page.getByText("Runs for").waitFor();
    requests.length = 0;
    await page.waitForTimeout(15_000);
    console.log(`requests in 15 s with 1,000 running operations: ${requests.length}`);
    expect(requests.length).toBeLessThanOrEqual(15);
  });

  it("has at most 100 row elements for 10,000 operations, at any place", async () => {
    const server = await serve(backups(10_000));
    const { page } = await open(server, "", { viewport: { width: 1600, height: 1200 } });
    await page.locator(rowSelector).first().waitFor();
    await browser.startTracing(page, { categories: ["devtools.timeline", "toplevel"] });
    const counts = await page.evaluate(scrollThrough, { rowSelector, wanted: 10_000 });
    const tasks = tasksOf(await browser.stopTracing());
    expect(counts.rows).toBe(10_000);
    expect(counts.most).toBeLessThanOrEqual(100);
    console.log(
      `scrolled through 10,000 operations, ${tasks.length} tasks; the longest, in ms: ${tasks.slice(0, 5)}`,
    );
    expect(tasks.length).toBeGreaterThan(100);
    expect(tasks[0]).toBeLessThanOrEqual(50);
  }, 150_000);

  it("is used by keys alone", async () => {
    const server = await serve(backups(8));
    const { page } = await open(server);
    await page.locator(rowSelector).nth(7).waitFor();
    const { keyboard } = page;
    await keyboard.press("j");
    await keyboard.press("j");
    await keyboard.press("k");
    await page.waitForFunction(() => document.activeElement?.closest("[data-row='0']") != null);
    await keyboard.press("Enter");
    await page.locator(".detail-pane").waitFor();
    await keyboard.press("c");
    await page.getByRole("dialog", { name: "Cancel this operation?" }).waitFor();
    await keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await keyboard.press("Escape");
    await page.locator(".detail-pane").waitFor({ state: "detached" });
    await keyboard.press("/");
    await keyboard.type("done = true");
    await keyboard.press("Enter");
    await page.locator(".pill.running").first().waitFor({ state: "detached" });
    await keyboard.press("Tab");
    await keyboard.press("?");
    await page.getByRole("dialog", { name: "Help" }).waitFor();
    await page.getByText("metadata.tables_done").waitFor();
    await keyboard.press("Escape");
  });
});

/** How far the page is wider than its window, in pixels. */
function overflow(): number {
  return Math.max(0, document.documentElement.scrollWidth - innerWidth);
}

/** Scrolls to the end of the list, and counts the rows in the document on the way. */
async function scrollThrough({
  rowSelector: rows,
  wanted,
}: {
  rowSelector: string;
  wanted: number;
}): Promise<{ rows: number; most: number }> {
  const body = document.querySelector(".list-body");
  if (body === null) throw new Error("there is no list");
  let most = 0;
  let last = 0;
  while (last < wanted) {
    body.scrollTop += 2500;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const shown = document.querySelectorAll(rows);
    most = Math.max(most, shown.length);
    for (const row of shown) last = Math.max(last, Number(row.getAttribute("data-row")) + 1);
  }
  return { rows: last, most };
}

/**
 * Returns how long the tasks of the page's main thread ran, in milliseconds, the longest first: the
 * processor's time, which other programs on the machine do not change.
 */
function tasksOf(trace: Buffer): number[] {
  interface TraceEvent {
    readonly name: string;
    readonly pid: number;
    readonly tid: number;
    readonly tdur?: number;
    readonly args?: { readonly name?: string };
  }
  const { traceEvents }: { readonly traceEvents: readonly TraceEvent[] } = JSON.parse(
    trace.toString("utf8"),
  );
  const threadOf = ({ pid, tid }: TraceEvent) => `${pid}/${tid}`;
  const mains = new Set(
    traceEvents
      .filter(({ name, args }) => name === "thread_name" && args?.name === "CrRendererMain")
      .map(threadOf),
  );
  return traceEvents
    .filter((event) => /RunTask$/.test(event.name) && mains.has(threadOf(event)))
    .map(({ tdur = 0 }) => tdur / 1000)
    .sort((one, other) => other - one);
}
