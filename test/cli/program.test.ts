import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitCodeMeanings, exitCodes } from "../../src/cli/exit-codes.js";
import type { Output } from "../../src/cli/terminal.js";
import { createManualClock } from "../../src/testing/index.js";
import { type ArchiveServer, startArchiveServer } from "./support/archive-server.js";
import { startCommand } from "./support/command-in-process.js";

let server: ArchiveServer;

beforeAll(async () => {
  server = await startArchiveServer();
});

afterAll(() => server.close());

const run = (args: readonly string[], output: Partial<Output> = {}) =>
  startCommand(args, { output, clock: createManualClock() }).ended;

const subcommands = ["serve", "migrate", "get", "list", "wait", "watch", "cancel", "delete"];
const get = (...options: string[]) => ["get", "operations/a", ...options];
const at = (url: string) => ["--server", url];

describe("longrunning", () => {
  it("shows its sub-commands and its exit codes", async () => {
    const { exitCode, stdout, stderr } = await run(["--help"]);
    expect([exitCode, stderr]).toEqual([exitCodes.success, ""]);
    for (const name of subcommands) expect(stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
    for (const [code, meaning] of exitCodeMeanings) expect(stdout).toContain(`${code}  ${meaning}`);
  });

  it.each(subcommands)("shows an example of %s in its help", async (name) => {
    const { exitCode, stdout } = await run([name, "--help"]);
    expect(exitCode).toBe(exitCodes.success);
    expect(stdout).toMatch(new RegExp(`\nExample:\n {2}longrunning ${name} .*--\\w+`));
  });

  it("prints its version", async () => {
    expect(await run(["--version"])).toEqual({ exitCode: 0, stdout: "1.2.3\n", stderr: "" });
  });

  it.each([
    ["no sub-command", [], "Usage: longrunning"],
    ["an unknown one", ["wiat", "x"], "unknown command 'wiat'"],
    ["no name", ["get", ...at("http://localhost:1")], "missing required argument 'name'"],
    ["no server", ["get", "operations/a"], "required option '--server <url>' not specified"],
    ["an unknown option", get(...at("http://h"), "--fast"), "unknown option '--fast'"],
    ["a server without a scheme", get(...at("localhost:8080")), "http:// (plaintext)"],
    ["a server with credentials", get(...at("http://u:p@h")), "--header"],
    ["an unknown protocol", get("--protocol", "soap"), "Allowed choices are grpc, grpc-web"],
    ["a header without a colon", get("--header", "abc"), "It must be 'Name: value'."],
    ["a header that is none", get("--header", "a b: c"), "characters that no header may have"],
    [
      "a header of two lines",
      get("--header", "a: b\r\nc: d"),
      "characters that no header may have",
    ],
    ["a time without a unit", get("--timeout", "30"), "as 500ms, 30s, 5m or 2h"],
    ["a page of no size", ["list", "--page-size", "0"], "a whole number of at least 1"],
    ["a port that is none", ["serve", "--port", "65536"], "from 0 to 65535"],
    [
      "two places for operations",
      ["serve", "--data", "x", "--database-url", "postgres://h/d"],
      "--data cannot be used with --database-url",
    ],
    ["a file in no folder", ["serve", "--data", "/none/x.db"], "/none/x.db cannot be opened"],
    [
      "a database of another kind",
      ["serve", "--database-url", "mysql://h/d"],
      "It must be postgres://",
    ],
    ["no database", ["migrate"], "give --database-url, or --print"],
    ["a schema that is none", ["migrate", "--print", "--schema", "A b"], "schema"],
    ["a version that is none", ["migrate", "--print", "--from", "-1"], "a whole number"],
    [
      "a key without certificate",
      ["serve", "--tls-key", "x"],
      "--tls-cert and --tls-key go together",
    ],
    ["a parent that is no pattern", ["serve", "--rest-parent", "a/{b"], "--rest-parent"],
    [
      "a missing file",
      ["serve", "--load", "/none.json"],
      "/none.json cannot be read: there is no such file",
    ],
    [
      "a proto set that is none",
      ["serve", "--proto-set", "package.json"],
      "is not a google.protobuf.FileDescriptorSet",
    ],
    [
      "a certificate for plaintext",
      get(...at("http://h"), "--insecure"),
      "--insecure is for servers with TLS",
    ],
  ])("exits with 2 for %s, and says why", async (_, args, message) => {
    const { exitCode, stdout, stderr } = await run(args);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
    expect([exitCode, stdout]).toEqual([exitCodes.usage, ""]);
  });

  it("colours what it writes to a terminal, and nothing else", async () => {
    const name = await server.create(1);
    const plain = await run(["get", name, ...at(server.url)]);
    expect(plain.stdout).toContain("  state: running\n");
    expect(plain.stdout).not.toContain("\x1b");
    const coloured = await run(["get", name, ...at(server.url)], { hasColors: true });
    expect(coloured.stdout).toContain("  state: \x1b[36mrunning\x1b[0m\n");
  });

  it("lets no server write to the terminal what it likes", async () => {
    const name = await server.create();
    await server.operations.fail(name, new ConnectError("\x1b]0;owned\x07\n$ ", Code.Aborted));
    for (const args of [
      ["get", name],
      ["list", "archives/a"],
      ["watch", name],
      ["get", name, "--json"],
    ]) {
      const { stdout } = await run([...args, ...at(server.url)]);
      expect(stdout).toContain("owned");
      expect(stdout).not.toContain("\x1b");
      expect(stdout).not.toContain("\x07");
    }
  });

  it("shows the reason of a refusal, and exits with 7", async () => {
    const { exitCode, stderr } = await run(["list", "a//b", ...at(server.url)]);
    expect(exitCode).toBe(exitCodes.refused);
    expect(stderr).toMatch(/^error: INVALID_ARGUMENT: name must be .* \(INVALID_FIELD\)\n/);
    const json = await run(["list", "a//b", ...at(server.url), "--json"]);
    expect(json).toMatchObject({ exitCode: exitCodes.refused, stdout: "" });
  });
});
