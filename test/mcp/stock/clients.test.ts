import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PrintServer, startPrintServer } from "./print-server.js";
import { runProgram } from "./run-program.js";
import {
  type Connect,
  inspector,
  inspectorIn,
  sdkV1OverHttp,
  sdkV1OverStdio,
  sdkV2,
} from "./stock-clients.js";

let server: PrintServer;
beforeAll(async () => {
  server = await startPrintServer();
}, 60_000);
afterAll(() => server.close());

const clients: [string, Connect][] = [
  ["SDK 1 over HTTP", sdkV1OverHttp()],
  ["SDK 1 over stdio", sdkV1OverStdio],
  ["SDK 2, as it is set up", sdkV2("legacy")],
  ["SDK 2, which finds the version", sdkV2("auto")],
  ["SDK 2, pinned to 2026-07-28", sdkV2({ pin: "2026-07-28" })],
  ["the Inspector's command, legacy", inspectorIn("legacy")],
  ["the Inspector's command, modern", inspectorIn("modern")],
];

describe("a stock client", { timeout: 60_000 }, () => {
  it.each(clients)("finds the tools: %s", async (_, connect) => {
    const client = await connect(server.url);
    const tools = await client.tools();
    await client.close();
    for (const name of ["PrintService_Print", "operation_wait", "operation_cancel"]) {
      expect(tools).toContain(name);
    }
  });

  it.each(clients)("gets the result of work of two seconds: %s", async (_, connect) => {
    const client = await connect(server.url);
    const ended = await client.call("PrintService_Print", { pages: 2 });
    await client.close();
    expect(ended).toMatchObject({ done: true, state: "succeeded", response: { pages: 2 } });
  });

  it.each(clients)("sees why work failed: %s", async (_, connect) => {
    const client = await connect(server.url);
    const failed = await client.call("PrintService_Print", { pages: -1 });
    await client.close();
    expect(failed).toMatchObject({
      state: "failed",
      error: { code: "FAILED_PRECONDITION", message: "there are no such pages" },
    });
  });
});

describe("SDK 1", () => {
  it("gets progress while a call waits", async () => {
    let progress = 0;
    const client = await sdkV1OverHttp(() => {
      progress += 1;
    })(server.url);
    await client.call("PrintService_Print", { pages: 3 });
    await client.close();
    expect(progress).toBeGreaterThan(1);
  });
});

describe("the Inspector's strict check of schemas", () => {
  it.each(["legacy", "modern"])("finds nothing: %s", { timeout: 60_000 }, async (era) => {
    const target = ["--cli", `${server.url}/mcp`, "--protocol-era", era];
    const args = [...target, "--method", "tools/list", "--strict"];
    const { exitCode, stderr } = await runProgram(inspector, args);
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toBe("");
  });
});
