import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { file_archive_v1_archive } from "../../examples/archive/gen/archive/v1/archive_pb.js";
import { exitCodes } from "../../src/cli/exit-codes.js";
import { type ArchiveServer, Compress, startArchiveServer } from "./support/archive-server.js";
import { buildCommand, type Command } from "./support/command.js";
import { runCommand, startCommand } from "./support/command-in-process.js";
import { protoSetOf } from "./support/proto-set.js";

const protocols = ["grpc", "grpc-web", "connect", "rest"];

let command: Command;
let server: ArchiveServer;
let directory: string;
/** The archive's types, for `--proto-set`. */
let protoSet: string;

beforeAll(async () => {
  [command, server, directory] = await Promise.all([
    buildCommand(),
    startArchiveServer(),
    mkdtemp(join(tmpdir(), "connect-longrunning-cli-")),
  ]);
  protoSet = join(directory, "archive.binpb");
  await writeFile(protoSet, protoSetOf(file_archive_v1_archive));
});

afterAll(async () => {
  await Promise.all([command.remove(), server.close(), rm(directory, { recursive: true })]);
});

/** The options that lead to the server. */
const over = (protocol: string) => ["--server", server.url, "--protocol", protocol];

describe.each(protocols)("longrunning over %s", (protocol) => {
  /** Options for payload types: the server's reflection if it has one. */
  const types = () => (protocol === "grpc" ? [] : ["--proto-set", protoSet]);
  const options = () => [...over(protocol), ...types()];

  it("waits in a process of its own with plain lines of progress, and ends with the response", async () => {
    const name = await server.create(1);
    const wait = command.start("wait", name, ...options());
    await wait.wrote("stderr", /25% {2}1 of 4\n/);
    await server.operations.report(Compress, name, { filesDone: 3, filesTotal: 4 });
    await wait.wrote("stderr", /75% {2}3 of 4\n/);
    await server.operations.succeed(Compress, name, { archive: "a.tar.gz", ratio: 0.5 });
    const { exitCode, stdout } = await wait.ended;
    expect(stdout).toBe(
      `${name}\n` +
        "  state: succeeded\n" +
        "  metadata: archive.v1.CompressMetadata\n" +
        "    filesDone: 3\n" +
        "    filesTotal: 4\n" +
        "  response: archive.v1.CompressResponse\n" +
        "    archive: a.tar.gz\n" +
        "    ratio: 0.5\n",
    );
    expect(exitCode).toBe(exitCodes.success);
  });

  it("exits with 1 where the operation failed, and shows why", async () => {
    const name = await server.create(2);
    await server.operations.fail(name, new ConnectError("the disk is full", Code.DataLoss));
    const { exitCode, stdout, stderr } = await runCommand("wait", name, ...options());
    expect(stdout).toContain("  state: failed\n");
    expect(stdout).toContain("  error: DATA_LOSS the disk is full\n");
    expect(stderr).toBe("");
    expect(exitCode).toBe(exitCodes.failed);
  });

  it("cancels, after which the wait exits with 3", async () => {
    const name = await server.create();
    const cancel = await runCommand("cancel", name, ...over(protocol));
    expect(cancel).toEqual({
      exitCode: exitCodes.success,
      stdout: `asked the server to cancel ${name}\n`,
      stderr: "",
    });
    expect((await server.operations.report(Compress, name, {})).cancelRequested).toBe(true);
    await server.operations.fail(name, new ConnectError("stopped", Code.Canceled));
    const wait = await runCommand("wait", name, ...options());
    expect(wait.stdout).toContain("  state: cancelled\n");
    expect(wait.exitCode).toBe(exitCodes.cancelled);
  });

  it("deletes, after which get exits with 4 and says what to do", async () => {
    const name = await server.create();
    const deleted = await runCommand("delete", name, ...over(protocol), "--json");
    expect(JSON.parse(deleted.stdout)).toEqual({ name, deleted: true });
    const { exitCode, stdout, stderr } = await runCommand("get", name, ...over(protocol));
    expect(exitCode).toBe(exitCodes.notFound);
    expect(stdout).toBe("");
    expect(stderr).toContain(`error: NOT_FOUND: operation "${name}" does not exist`);
    expect(stderr).toContain("longrunning list");
  });

  it("gets an operation as JSON, payloads unpacked", async () => {
    const name = await server.create(1);
    const { exitCode, stdout } = await runCommand("get", name, ...options(), "--json");
    expect(JSON.parse(stdout)).toEqual({
      name,
      metadata: {
        "@type": "type.googleapis.com/archive.v1.CompressMetadata",
        filesDone: 1,
        filesTotal: 4,
      },
    });
    expect(exitCode).toBe(exitCodes.success);
  });

  it("watches with one line of JSON for each change", async () => {
    const name = await server.create(1);
    const watch = startCommand(["watch", name, ...options(), "--json"]);
    await watch.wrote("stdout", /"filesDone":1.*\n/);
    await server.operations.report(Compress, name, { filesDone: 2, filesTotal: 4 });
    await watch.wrote("stdout", /"filesDone":2.*\n/);
    await server.operations.succeed(Compress, name, { archive: "b" });
    const { exitCode, stdout } = await watch.ended;
    const states = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(states.map(({ metadata }) => metadata.filesDone)).toEqual([1, 2, 2]);
    expect(states.map(({ done = false }) => done)).toEqual([false, false, true]);
    expect(exitCode).toBe(exitCodes.success);
  });

  it("lists a page as a table, and all pages as one ListOperationsResponse", async () => {
    const names = [await server.create(1), await server.create(2), await server.create(3)];
    const newest = [...names].reverse();
    const page = await runCommand(
      ...["list", "archives/a", ...options(), "--page-size", "2", "--filter", "done = false"],
    );
    const [title, ...rows] = page.stdout.trimEnd().split("\n");
    expect(title?.split(/ {2,}/)).toEqual(["NAME", "AGE", "STATE", "METHOD/TYPE", "PROGRESS"]);
    expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
      [
        newest[0],
        expect.stringMatching(/^\ds$/),
        "running",
        "ArchiveService.Compress",
        "75%",
        "3 of 4",
      ],
      [
        newest[1],
        expect.stringMatching(/^\ds$/),
        "running",
        "ArchiveService.Compress",
        "50%",
        "2 of 4",
      ],
    ]);
    const [, token = ""] = /--page-token '(.+)'/.exec(page.stderr) ?? [];
    const next = await runCommand(
      ...["list", "archives/a", ...over(protocol), "--page-size", "2", "--filter", "done = false"],
      ...["--page-token", token],
    );
    expect(next.stdout).toContain(newest[2]);
    const all = await runCommand(
      ...["list", "archives/a", ...over(protocol), "--page-size", "1", "--all", "--json"],
    );
    const { operations, ...others } = JSON.parse(all.stdout);
    expect(operations.map(({ name }: { name: string }) => name).slice(0, 3)).toEqual(newest);
    expect(others).toEqual({});
    expect([page.exitCode, next.exitCode, all.exitCode]).toEqual([0, 0, 0]);
  });

  it("exits with 5 when --timeout is up, and the operation goes on", async () => {
    const name = await server.create();
    const { exitCode, stderr } = await runCommand("wait", name, ...options(), "--timeout", "300ms");
    expect(exitCode).toBe(exitCodes.timeout);
    expect(stderr).toContain(`longrunning wait ${name}`);
    expect((await server.operations.report(Compress, name, {})).cancelRequested).toBe(false);
  });

  it("exits with 6 where no server is", async () => {
    const gone = await startArchiveServer();
    await gone.close();
    const { exitCode, stdout, stderr } = await runCommand(
      ...["get", "archives/a/operations/1", "--server", gone.url, "--protocol", protocol],
    );
    expect(exitCode).toBe(exitCodes.unreachable);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^error: UNAVAILABLE: .*\n {2}check that the server runs/);
    expect(stderr).not.toContain("    at ");
  });

  it("sends the headers that it is given", async () => {
    const seen: (string | null)[] = [];
    const guarded = await startArchiveServer({
      interceptors: [
        (next) => (request) => {
          seen.push(request.header.get("authorization"));
          return next(request);
        },
      ],
    });
    const name = await guarded.create();
    await runCommand(
      ...["get", name, "--server", guarded.url, "--protocol", protocol, "--proto-set", protoSet],
      ...["--header", "Authorization: Bearer abc:def"],
    );
    await guarded.close();
    expect(seen).toEqual(["Bearer abc:def"]);
  });
});

describe("longrunning wait", () => {
  it("exits with 130 when it is interrupted, and the operation goes on", async () => {
    const name = await server.create(1);
    const wait = command.start("wait", name, ...over("grpc"));
    await wait.wrote("stderr", /25%/);
    wait.process.kill("SIGINT");
    const { exitCode, stdout, stderr } = await wait.ended;
    expect([exitCode, stdout]).toEqual([exitCodes.interrupted, ""]);
    expect(stderr).toContain("error: interrupted\n  the operation goes on: ");
    expect((await server.operations.report(Compress, name, {})).cancelRequested).toBe(false);
  });

  it("shows a payload of an unknown type as its type and base64", async () => {
    const silent = await startArchiveServer({ reflection: false });
    const name = await silent.create(1);
    const { stdout } = await runCommand("get", name, "--server", silent.url);
    expect(stdout).toContain("  metadata: archive.v1.CompressMetadata\n    value: CAEQBA==\n");
    await silent.operations.succeed(Compress, name, {});
    const wait = await runCommand("wait", name, "--server", silent.url, "--json");
    await silent.close();
    expect(wait).toMatchObject({ exitCode: exitCodes.success, stderr: "" });
    expect(JSON.parse(wait.stdout)).toMatchObject({ done: true, metadata: { value: "CAEQBA==" } });
  });

  it("ends quietly if the reader closes the output", async () => {
    const name = await server.create(1);
    const watch = command.start("watch", name, ...over("grpc"));
    await watch.wrote("stdout", /25%/);
    watch.process.stdout.destroy();
    await server.operations.succeed(Compress, name, {});
    expect(await watch.ended).toMatchObject({ exitCode: 0, stderr: "" });
  });
});
