import { create, createRegistry } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, assert, beforeAll, describe, expect, it } from "vitest";
import { createServer } from "../../src/node/index.js";
import { OperationSchema, Operations } from "../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../src/rest/index.js";
import { createOperations, type OperationsServer } from "../../src/server/index.js";
import { findChromium, launchChromium } from "../browser/chromium.js";
import { startCommand } from "../cli/support/command-in-process.js";
import { BackupSchema, file_backups_v1_backups } from "../gen/backups/v1/backups_pb.js";
import { backupOperation } from "./support/backup-operations.js";
import { CreateBackup } from "./support/backups.js";
import { type ConsolePage, openConsole, rowSelector } from "./support/console-page.js";
import { startGetAndListServer } from "./support/get-and-list-server.js";

const chromiumPath = findChromium();
const parent = "projects/shop";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Runs `longrunning console` in this process. */
async function startProxy(
  server: string,
  ...args: string[]
): Promise<{ url: string; token: string }> {
  const started = startCommand(["console", "--server", server, "--parent", parent, ...args]);
  closing.push(async () => {
    started.interrupt();
    expect(await started.ended).toMatchObject({ exitCode: 0, stderr: "" });
  });
  const [, url = "", token = ""] = await started.wrote("stdout", /open (http:.*\/)#token=(.*)\n/);
  return { url, token };
}

/** Starts a server of every protocol whose operations the test drives. */
async function startServer(): Promise<{ url: string; operations: OperationsServer }> {
  const operations = createOperations({
    authorize({ context }) {
      const value = context.requestHeader.get("authorization") ?? "";
      if (!value.startsWith("Bearer ")) throw new ConnectError("who?", Code.Unauthenticated);
      return { allow: true, principal: value };
    },
  });
  const registry = createRegistry(file_backups_v1_backups);
  const server = createServer({
    routes: (router) => void router.service(Operations, operations.service),
    operations,
    reflection: { files: [file_backups_v1_backups] },
    jsonOptions: { registry },
    handlers: (router) => [
      createRestHandler(router, { registry, rules: operationsHttpRules({ parent: "projects/*" }) }),
    ],
  });
  const { url } = await server.listen();
  closing.push(() => server.close({ graceMs: 0 }));
  return { url, operations };
}

describe("the proxy of longrunning console", () => {
  it("answers only with its token, on a loopback host, and never beside the console", async () => {
    const { url: server } = await startServer();
    const { url, token } = await startProxy(server, "--header", "Authorization: Bearer a");
    const list = (headers: Record<string, string>, path = "rpc/") =>
      fetch(`${url}${path}google.longrunning.Operations/ListOperations`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ name: parent }),
      });
    expect((await list({})).status).toBe(403);
    expect((await list({ "x-console-token": `${token}x` })).status).toBe(403);
    expect((await list({ "x-console-token": token.replace(/^./, "!") })).status).toBe(403);
    expect((await list({ "x-console-token": token })).status).toBe(200);
    expect((await list({ "x-console-token": token }, "")).status).not.toBe(200);
    for (const path of ["config", "types/google.rpc.Status"]) {
      expect((await fetch(url + path)).status).toBe(403);
    }
    expect(token).toMatch(/^[\w-]{43}$/);
  });

  it("sends the header of the command, which the page's own value replaces", async () => {
    const { url: server, operations } = await startServer();
    const { url, token } = await startProxy(server, "--header", "Authorization: Bearer command");
    const { name } = await operations.create(CreateBackup, {}, { parent });
    const rpc = createClient(
      Operations,
      createConnectTransport({ baseUrl: `${url}rpc`, httpVersion: "1.1", useBinaryFormat: true }),
    );
    const get = (headers: Record<string, string>) =>
      rpc.getOperation({ name }, { headers: { "x-console-token": token, ...headers } });
    expect((await get({})).name).toBe(name);
    expect((await get({ authorization: "Bearer page" })).name).toBe(name);
    const error = ConnectError.from(await get({ authorization: "Basic x" }).catch((e) => e));
    expect([error.code, error.rawMessage]).toEqual([Code.Unauthenticated, "who?"]);
  });
});

describe.skipIf(chromiumPath === undefined)("longrunning console in Chromium", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium(chromiumPath ?? "");
  }, 60_000);
  afterAll(() => browser.close());

  async function open(url: string, fragment = ""): Promise<ConsolePage> {
    const opened = await openConsole(browser, url + fragment);
    closing.push(async () => {
      await opened.page.close();
      expect(opened.complaints).toEqual([]);
    });
    return opened;
  }

  it("takes the token out of the address at once, and keeps it for the tab", async () => {
    const { url: server } = await startServer();
    const { url, token } = await startProxy(server, "--header", "Authorization: Bearer a");
    const { page } = await open(url, `#token=${token}`);
    await page.getByText("No operations yet").waitFor();
    expect(page.url()).toBe(url);
    expect(await page.evaluate(() => history.length)).toBeLessThanOrEqual(2);
    expect(await page.content()).not.toContain(token);
    await page.reload();
    await page.getByText("No operations yet").waitFor();
    const { page: other } = await open(url);
    await other.getByText("open the link that `longrunning console` printed").waitFor();
  });

  it.each(["grpc", "grpc-web", "connect", "rest"] as const)(
    "lists, follows and cancels over %s",
    async (protocol) => {
      const { url: server, operations } = await startServer();
      const { name } = await operations.create(CreateBackup, {}, { parent, principal: "x" });
      await operations.report(CreateBackup, name, { tablesDone: 1, tablesTotal: 4 });
      const { url, token } = await startProxy(
        server,
        "--protocol",
        protocol,
        "--header",
        "Authorization: Bearer a",
      );
      const { page } = await open(url, `#token=${token}`);
      // Only gRPC has reflection; without it the numbers of REST's JSON can be read.
      const row = page.locator(rowSelector, { hasText: "running" });
      await row.waitFor();
      if (protocol === "grpc" || protocol === "rest") await row.getByText("25% · 1 of 4").waitFor();
      await row.locator("a").click();
      await page.getByRole("button", { name: "Cancel…" }).click();
      await page.getByRole("button", { name: "Cancel operation" }).click();
      await page.getByText("The server was asked to cancel it.").waitFor();
      await operations.fail(name, new ConnectError("stopped by Ann", Code.Canceled));
      await page.locator(".error-card").getByText("stopped by Ann").waitFor();
    },
  );

  it("shows a server with Get and List alone, and says that it ignores filters", async () => {
    const operations = Array.from({ length: 8 }, (_, index) => backupOperation(index, Date.now()));
    const server = await startGetAndListServer(operations);
    closing.push(server.close);
    const { url, token } = await startProxy(server.url);
    const { page } = await open(url, `#token=${token}`);
    await page.locator(rowSelector).nth(7).waitFor();
    await page.locator(`${rowSelector} a`).first().click();
    await page.getByText("Metadata", { exact: true }).waitFor();
    const [running] = operations;
    assert(running !== undefined);
    // It has no reflection, so that payloads are bytes.
    await page.getByText("its bytes cannot be read").waitFor();
    server.operations.set(
      running.name,
      create(OperationSchema, {
        ...running,
        done: true,
        result: { case: "response", value: anyPack(BackupSchema, create(BackupSchema)) },
      }),
    );
    await page.locator(".detail-pane .pill.succeeded").waitFor();
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete operation" }).click();
    await page.getByText("The server cannot delete operations.").waitFor();
    expect(await page.getByRole("button", { name: "Delete…" }).count()).toBe(0);
    await page.getByRole("button", { name: "Running", exact: true }).click();
    await page.getByText("The server ignores the filter").waitFor();
    await page.getByRole("button", { name: "Cancel all matching…" }).click();
    await page.getByRole("dialog").getByText("the server ignores the filter").waitFor();
    await page.getByText("Nothing was changed.").waitFor();
  });
});
