import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  CompressMetadataSchema,
  file_archive_v1_archive,
} from "../../examples/archive/gen/archive/v1/archive_pb.js";
import { exitCodes } from "../../src/cli/exit-codes.js";
import { Health, HealthCheckResponse_ServingStatus, Operations } from "../../src/protos.js";
import { createCertificate } from "../support/certificate.js";
import { openRawConnection } from "../support/raw-connection.js";
import { buildCommand, type Command, type CommandProcess } from "./support/command.js";
import { runCommand, startCommand } from "./support/command-in-process.js";
import { operationsOfEveryState } from "./support/operations-of-every-state.js";
import { protoSetOf } from "./support/proto-set.js";
import type { RunningCommand } from "./support/running-command.js";

const execute = promisify(execFile);

let command: Command;
let directory: string;
const running: RunningCommand[] = [];
const processes: CommandProcess[] = [];

beforeAll(async () => {
  command = await buildCommand();
  directory = await mkdtemp(join(tmpdir(), "connect-longrunning-cli-"));
});

afterEach(async () => {
  for (const one of processes.splice(0)) {
    one.process.kill("SIGKILL");
    await one.ended;
  }
  for (const one of running.splice(0)) {
    one.interrupt();
    await one.ended;
  }
});

afterAll(async () => {
  await command.remove();
  await rm(directory, { recursive: true });
});

/** Serve on a free port, and wait for the line with the address. */
async function serve(...args: string[]): Promise<{ url: string; command: RunningCommand }> {
  const started = startCommand(["serve", "--port", "0", ...args]);
  running.push(started);
  return { url: await urlOf(started), command: started };
}

/** Starts `serve` in a separate process. */
async function serveAsProcess(
  ...args: string[]
): Promise<{ url: string; command: CommandProcess }> {
  const started = command.start("serve", "--port", "0", ...args);
  processes.push(started);
  return { url: await urlOf(started), command: started };
}

async function urlOf(started: RunningCommand): Promise<string> {
  const [, url = ""] = await started.wrote("stdout", /^listening on (https?:\/\/\S+)\n/);
  return url;
}

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

const loaded = (operations: unknown[], others: object = {}) =>
  file("operations.json", JSON.stringify({ operations, ...others }));

/** Runs curl and resolves with its output and the HTTP status. */
async function curl(...args: string[]) {
  const { stdout } = await execute("curl", ["-sS", "-w", "\n%{http_code}", ...args]);
  const at = stdout.lastIndexOf("\n");
  return { status: Number(stdout.slice(at + 1)), json: JSON.parse(stdout.slice(0, at)) };
}

describe("longrunning serve --load", () => {
  it("serves 30 operations of every state under their names, driven by curl alone", async () => {
    const operations = operationsOfEveryState(30);
    const { url } = await serve(
      ...["--load", await loaded(operations), "--rest-parent", "projects/*/locations/*"],
    );
    const parent = `${url}/v1/projects/demo/locations/here`;
    const list = await curl(`${parent}/operations?pageSize=100`);
    expect(list).toEqual({ status: 200, json: { operations } });
    for (const operation of operations) {
      expect(await curl(`${url}/v1/${operation.name}`)).toEqual({ status: 200, json: operation });
    }
    const states = operations.map(({ done, error }) => (done ? (error?.code ?? 0) : "running"));
    expect(new Set(states)).toEqual(new Set(["running", 0, 1, 5]));
    for (const [at, { name }] of operations.entries()) {
      const cancelled = await curl("-X", "POST", `${url}/v1/${name}:cancel`);
      expect(cancelled).toEqual({ status: 200, json: {} });
      const after = await curl("-X", "POST", `${url}/v1/${name}:wait`);
      expect(after.json).toEqual(
        states[at] === "running"
          ? { ...operations[at], done: true, error: expect.objectContaining({ code: 1 }) }
          : operations[at],
      );
      expect(await curl("-X", "DELETE", `${url}/v1/${name}`)).toEqual({ status: 200, json: {} });
      expect((await curl(`${url}/v1/${name}`)).status).toBe(404);
    }
    expect((await curl(`${parent}/operations`)).json).toEqual({});
  }, 60_000);

  it("keeps a running operation until a client cancels it, and wakes its waiters", async () => {
    const { url } = await serve("--load", await loaded([{ name: "operations/a" }]));
    const wait = startCommand(["wait", "operations/a", "--server", url]);
    await wait.wrote("stderr", /running\n/);
    await runCommand("cancel", "operations/a", "--server", url, "--protocol", "connect");
    const { exitCode, stdout } = await wait.ended;
    expect(exitCode).toBe(exitCodes.cancelled);
    expect(stdout).toContain("error: CANCELLED the operation was cancelled");
  });

  it("knows the types of --proto-set, and tells them by reflection", async () => {
    const metadata = {
      "@type": "type.googleapis.com/archive.v1.CompressMetadata",
      filesDone: 1,
      filesTotal: 2,
    };
    const { url } = await serve(
      ...["--load", await loaded([{ name: "operations/a", metadata }])],
      ...["--proto-set", await file("archive.binpb", protoSetOf(file_archive_v1_archive))],
    );
    expect((await curl(`${url}/v1/operations/a`)).json.metadata).toEqual(metadata);
    const got = await runCommand("get", "operations/a", "--server", url, "--json");
    expect(JSON.parse(got.stdout).metadata).toEqual(metadata);
  });

  it("takes the bytes of a type that it does not know, and serves them as they are", async () => {
    const bytes = toBinary(CompressMetadataSchema, {
      $typeName: "archive.v1.CompressMetadata",
      filesDone: 3,
      filesTotal: 4,
      bytesDone: 0n,
      bytesTotal: 0n,
    });
    const metadata = {
      "@type": "type.googleapis.com/archive.v1.CompressMetadata",
      value: Buffer.from(bytes).toString("base64"),
    };
    const { url } = await serve("--load", await loaded([{ name: "operations/a", metadata }]));
    const unknown = await runCommand("get", "operations/a", "--server", url, "--json");
    expect(JSON.parse(unknown.stdout).metadata).toEqual(metadata);
    const protoSet = await file("archive.binpb", protoSetOf(file_archive_v1_archive));
    const known = await runCommand(
      ...["get", "operations/a", "--server", url, "--proto-set", protoSet],
    );
    expect(known.stdout).toContain("    filesDone: 3\n");
  });

  it("loads the output of `longrunning list --json`", async () => {
    const operations = operationsOfEveryState(12);
    const parent = "projects/demo/locations/here";
    const first = await serve("--load", await loaded(operations));
    const listed = await runCommand(
      ...["list", parent, "--server", first.url, "--page-size", "5", "--all", "--json"],
    );
    const second = await serve("--load", await file("listed.json", listed.stdout));
    const again = await runCommand("list", parent, "--server", second.url, "--all", "--json");
    expect(JSON.parse(again.stdout)).toEqual({ operations });
  });

  it("says on standard error where the file is one page of a longer list", async () => {
    const path = await loaded([{ name: "operations/a" }], { nextPageToken: "more" });
    const { command: started } = await serve("--load", path);
    started.interrupt();
    expect((await started.ended).stderr).toContain("it is one page");
  });
});

describe("longrunning serve", () => {
  it("prints one line with its address when it is ready, and drains on SIGTERM", async () => {
    const { url, command: started } = await serveAsProcess();
    expect((await curl(`${url}/v1/operations`)).json).toEqual({});
    started.process.kill("SIGTERM");
    expect(await started.ended).toEqual({
      exitCode: exitCodes.success,
      stdout: `listening on ${url}\n`,
      stderr: "",
    });
  });

  it("answers a wait with the latest state when a second signal ends the grace", async () => {
    const { url, command: started } = await serve(
      ...["--load", await loaded([{ name: "operations/a" }])],
    );
    const sessionManager = new Http2SessionManager(url);
    const rpc = createClient(Operations, createGrpcTransport({ baseUrl: url, sessionManager }));
    const answer = rpc.waitOperation({ name: "operations/a" });
    // One connection keeps the order of its calls: the wait is held when this is answered.
    await rpc.getOperation({ name: "operations/a" });
    started.interrupt();
    started.interrupt();
    expect(await answer).toMatchObject({ name: "operations/a", done: false });
    expect((await started.ended).exitCode).toBe(exitCodes.success);
    sessionManager.abort();
  });

  it("ends within a second of a second signal, although a call is under way", async () => {
    const { url, command: started } = await serveAsProcess();
    const held = await openRawConnection(Number(new URL(url).port));
    await held.send(
      "POST /v1/operations/a:cancel HTTP/1.1\r\nHost: localhost\r\n" +
        "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n",
    );
    // The server has the call now, and waits for its body.
    await held.receives((received) => received.startsWith("HTTP/1.1 100 "));
    const sessionManager = new Http2SessionManager(url);
    const transport = createGrpcTransport({ baseUrl: url, sessionManager });
    // Tells when the first signal has come.
    const watch = createClient(Health, transport).watch({})[Symbol.asyncIterator]();
    expect((await watch.next()).value?.status).toBe(HealthCheckResponse_ServingStatus.SERVING);
    started.process.kill("SIGTERM");
    expect((await watch.next()).value?.status).toBe(HealthCheckResponse_ServingStatus.NOT_SERVING);
    started.process.kill("SIGTERM");
    expect((await started.ended).exitCode).toBe(exitCodes.interrupted);
    sessionManager.abort();
    held.socket.destroy();
  });

  it("holds a wait for --max-wait at most", async () => {
    const path = await loaded([{ name: "operations/a" }]);
    const { url } = await serve("--load", path, "--max-wait", "50ms");
    // Without the option this would take 25 s, which is longer than the test may.
    const { status, json } = await curl("-X", "POST", `${url}/v1/operations/a:wait`);
    expect([status, json]).toEqual([200, { name: "operations/a" }]);
  });

  it("prints the address as JSON", async () => {
    const started = startCommand(["serve", "--port", "0", "--json"]);
    running.push(started);
    const [line = ""] = await started.wrote("stdout", /^.*\n/);
    const { host, port, url } = JSON.parse(line);
    expect(host).toBe("127.0.0.1");
    expect(url).toBe(`http://127.0.0.1:${port}`);
    expect((await curl(`${url}/v1/operations`)).status).toBe(200);
  });

  it("serves REST at the given path", async () => {
    const { url } = await serve("--rest-version", "v9", "--rest-parent", "shops/*");
    expect(await curl(`${url}/v9/shops/one/operations`)).toEqual({ status: 200, json: {} });
    const elsewhere = await curl(`${url}/v1/operations`);
    expect(elsewhere.status).toBe(404);
    expect(elsewhere.json.error.code).toBe(404);
  });

  it.each(["grpc", "grpc-web", "connect", "rest"])(
    "serves TLS over %s to a client that trusts its certificate",
    async (protocol) => {
      const { cert, key } = await createCertificate();
      const certPath = await file("cert.pem", cert);
      const { url } = await serve(
        ...["--tls-cert", certPath, "--tls-key", await file("key.pem", key)],
        ...["--load", await loaded([{ name: "operations/a" }])],
      );
      expect(url).toMatch(/^https:/);
      const get = ["get", "operations/a", "--server", url, "--protocol", protocol];
      const [trusting, blind, wary] = await Promise.all([
        runCommand(...get, "--ca", certPath),
        runCommand(...get, "--insecure"),
        runCommand(...get),
      ]);
      expect(trusting).toEqual({
        exitCode: 0,
        stdout: "operations/a\n  state: running\n",
        stderr: "",
      });
      expect(blind.stdout).toBe(trusting.stdout);
      expect(wary.exitCode).not.toBe(0);
      expect(wary.stderr).toContain("--ca FILE");
    },
  );

  it("exits with 2 where its port is in use, and says what to do", async () => {
    const { url } = await serve();
    const { port } = new URL(url);
    const { exitCode, stdout, stderr } = await runCommand("serve", "--port", port);
    expect(exitCode).toBe(exitCodes.usage);
    expect(stdout).toBe("");
    expect(stderr).toBe(
      `error: cannot listen on 127.0.0.1 port ${port}: the address is in use\n` +
        "  end what uses the port, or give another --port (0 for any free one)\n",
    );
  });
});
