import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createServer, type Server } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { createDeferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";
import { untilAborted } from "../support/print-work.js";
import { startCommand } from "./support/command-in-process.js";

let server: Server;
let url: string;

beforeAll(async () => {
  const operations = createOperations({
    authorize({ context }) {
      if (context.requestHeader.get("authorization") === "Bearer t") return { allow: true };
      throw new ConnectError("no token", Code.Unauthenticated);
    },
  });
  server = createServer({
    operations,
    routes(router) {
      router.service(Operations, operations.service);
      router.service(PrintService, {
        print: operations.handle(Print, async (operation) => {
          const { pages } = operation.request;
          return pages < 0 ? untilAborted(operation) : { pages };
        }),
      });
    },
  });
  const { port } = await server.listen({ port: 0 });
  url = `http://127.0.0.1:${port}`;
});

afterAll(() => server.close({ graceMs: 0 }));

/** Standard input that a test writes to. */
function createInput() {
  const chunks: Uint8Array[] = [];
  let wake = createDeferred();
  let isEnded = false;
  const stream = async function* () {
    for (;;) {
      const chunk = chunks.shift();
      if (chunk !== undefined) yield chunk;
      else if (isEnded) return;
      else await wake.promise;
    }
  };
  const woken = () => {
    wake.resolve();
    wake = createDeferred();
  };
  return {
    stream: stream(),
    write(text: string) {
      chunks.push(new TextEncoder().encode(text));
      woken();
    },
    end() {
      isEnded = true;
      woken();
    },
  };
}

const request = (id: number, method: string, params: object = {}) =>
  `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`;

function start(...args: string[]) {
  const input = createInput();
  const command = startCommand(["mcp", "--server", url, ...args], { input: input.stream });
  return { input, command };
}

describe("longrunning mcp", () => {
  it("mcp 9: writes nothing but messages to standard output, and ends with its input", async () => {
    const { input, command } = start("--header", "authorization: Bearer t");
    input.write(request(1, "initialize", { protocolVersion: "2025-11-25" }));
    input.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
    await command.wrote("stdout", /"id":1,.*\n/);
    const call = request(2, "tools/call", { name: "PrintService_Print", arguments: { pages: 2 } });
    input.write(call.slice(0, 40));
    input.write(call.slice(40));
    await command.wrote("stdout", /"id":2,.*\n/);
    input.end();
    const { stdout, stderr, exitCode } = await command.ended;
    expect(exitCode).toBe(0);
    expect(stderr).toBe("");
    const messages = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(messages.map(({ id }) => id)).toEqual([1, 2]);
    expect(messages[0].result.protocolVersion).toBe("2025-11-25");
    expect(messages[1].result.structuredContent).toMatchObject({
      done: true,
      response: { pages: 2 },
    });
  });

  it("answers lines that are not messages with an error, and goes on", async () => {
    const { input, command } = start("--header", "authorization: Bearer t");
    input.write("nonsense\n\n[]\n");
    input.write(request(3, "ping"));
    await command.wrote("stdout", /"id":3,.*\n/);
    input.end();
    const { stdout } = await command.ended;
    const [broken, batch, pong] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(broken.error.code).toBe(-32700);
    expect(batch.error.code).toBe(-32600);
    expect(pong.result).toEqual({});
  });

  it("refuses a line above 4 MiB, and goes on", async () => {
    const { input, command } = start("--header", "authorization: Bearer t");
    for (let part = 0; part < 5; part += 1) input.write("x".repeat(1024 * 1024));
    input.write(`\n${request(4, "ping")}`);
    await command.wrote("stdout", /"id":4,.*\n/);
    input.end();
    const { stdout } = await command.ended;
    expect(stdout).toContain("longer than 4194304 bytes");
  });

  it("refuses the 101st request under way, and still reads a cancellation", async () => {
    const { input, command } = start("--header", "authorization: Bearer t");
    const endless = { name: "PrintService_Print", arguments: { pages: -1 } };
    for (let id = 1; id <= 101; id += 1) input.write(request(id, "tools/call", endless));
    await command.wrote("stdout", /"id":101,.*\n/);
    const cancel = { method: "notifications/cancelled", params: { requestId: 7 } };
    input.write(`${JSON.stringify({ jsonrpc: "2.0", ...cancel })}\n`);
    // The cancelled request leaves its place a moment after the line that cancels it.
    let isAnswered = false;
    void command.wrote("stdout", /"result":\{\}/).then(() => {
      isAnswered = true;
    });
    for (let id = 102; !isAnswered; id += 1) {
      input.write(request(id, "ping"));
      await command.wrote("stdout", new RegExp(`"id":${id},.*\\n`));
    }
    input.end();
    const { stdout } = await command.ended;
    expect(stdout).toContain("100 requests are under way, which is the limit");
    expect(stdout).not.toContain('"id":7,');
  });

  it("does not answer a request that was cancelled", async () => {
    const { input, command } = start("--header", "authorization: Bearer t");
    const endless = { name: "PrintService_Print", arguments: { pages: -1 } };
    input.write(request(5, "tools/call", endless));
    const cancel = { method: "notifications/cancelled", params: { requestId: 5 } };
    input.write(`${JSON.stringify({ jsonrpc: "2.0", ...cancel })}\n`);
    input.write(request(6, "ping"));
    await command.wrote("stdout", /"id":6,.*\n/);
    input.end();
    const { stdout, exitCode } = await command.ended;
    expect(stdout).not.toContain('"id":5');
    expect(exitCode).toBe(0);
  });

  it("tells an agent that its credentials are refused", async () => {
    const { input, command } = start();
    input.write(request(6, "tools/call", { name: "PrintService_Print", arguments: {} }));
    await command.wrote("stdout", /"id":6,.*\n/);
    input.end();
    expect((await command.ended).stdout).toContain("no token");
  });

  it("ends with exit code 6 if there is no server", async () => {
    const input = createInput();
    const args = ["mcp", "--server", "http://127.0.0.1:1"];
    const { exitCode, stdout } = await startCommand(args, { input: input.stream }).ended;
    expect(exitCode).toBe(6);
    expect(stdout).toBe("");
  });
});
