import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Compress } from "../../examples/archive/archive-service.js";
import { ArchiveService } from "../../examples/archive/gen/archive/v1/archive_pb.js";
import { startArchiveServer } from "../../examples/archive/server.js";
import { createLongRunningClient, OperationError } from "../../src/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { rejectionDetailsOf, rejectionOf } from "../support/rejection.js";

let directory: string;
let folder: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "archive-test-"));
  folder = join(directory, "folder");
  mkdirSync(join(folder, "sub"), { recursive: true });
});

afterEach(() => rmSync(directory, { recursive: true }));

/** A file of zeros that takes long to compress and no room on the disk. */
function writeZeros(name: string, bytes: number): void {
  writeFileSync(join(folder, name), "");
  truncateSync(join(folder, name), bytes);
}

// A minute is what the demo may take; here it is a few seconds, most of them for starting tsx.
describe("the demo", { timeout: 60_000 }, () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const tsx = join(root, "node_modules", ".bin", "tsx");

  interface Run {
    exitCode: number | null;
    stdout: string;
    stderr: string;
    /** Paths in the directory for temporary files afterwards. */
    left: string[];
  }

  async function runDemo(folder: string): Promise<Run> {
    const temporary = join(directory, "tmp");
    mkdirSync(temporary);
    const run = await new Promise<Omit<Run, "left">>((resolve) => {
      const child = execFile(
        tsx,
        [join(root, "examples", "archive", "demo.ts"), folder],
        { cwd: root, env: { ...process.env, TMPDIR: temporary } },
        (_, stdout, stderr) => resolve({ exitCode: child.exitCode, stdout, stderr }),
      );
    });
    const left = readdirSync(temporary, { recursive: true, encoding: "utf8" })
      // tsx keeps compiled files there.
      .filter((path) => !path.startsWith("tsx-"))
      .map((path) => join(temporary, path));
    return { ...run, left };
  }

  it("archives a folder, and shows a cancellation, an error, the list and a delete", async () => {
    writeFileSync(join(folder, "a.txt"), "some text");
    writeFileSync(join(folder, "sub", "b.txt"), "more text");
    writeZeros("zeros", 64 * 1024 * 1024);

    const { exitCode, stdout, stderr, left } = await runDemo(folder);

    expect([exitCode, stderr]).toEqual([0, ""]);
    const archive = /^ {3}archive {2}(.+)$/m.exec(stdout)?.[1] ?? "";
    expect(left.sort()).toEqual([join(archive, ".."), archive]);
    const sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex");
    expect(stdout).toContain(`   SHA-256  ${sha256}\n`);
    const names = execFileSync("tar", ["-tzf", archive], { encoding: "utf8" });
    expect(names).toBe("a.txt\nsub/b.txt\nzeros\n");
    expect(stdout).toMatch(/^ {3}100 %, 3 of 3 files, 67.1 of 67.1 MB$/m);
    expect(stdout).toMatch(
      /cancelled at .+\n {3}error 1 CANCELLED: .+\n(.+\n)? {3}no partial file is/,
    );
    expect(stdout).toMatch(
      /error 5 NOT_FOUND: .+\n {3}ErrorInfo {5}FOLDER_NOT_FOUND of archive\.example\n {3}ResourceInfo {2}archive\.example\/Folder \/.+\n/,
    );
    const name = "operations/[0-9a-f-]{36}";
    expect(stdout).toMatch(
      new RegExp(` {3}${name}  NOT_FOUND\n {3}${name}  CANCELLED\n {3}${name}  succeeded\n`),
    );
    expect(stdout).toMatch(/5\. Delete .+\n {3}error 5 NOT_FOUND: operation ".+" does not exist\n/);
  });

  it("says so where the folder is too small to be cancelled half-way", async () => {
    writeFileSync(join(folder, "the only file"), "gone in one chunk");
    const { exitCode, stdout, left } = await runDemo(folder);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("so small that it was compressed before a cancellation came");
    expect(left.filter((path) => path.endsWith(".gz"))).toHaveLength(1);
  });

  it("refuses a folder that does not exist, and leaves nothing behind", async () => {
    const missing = join(directory, "missing");
    expect(await runDemo(missing)).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: `demo: "${missing}" is not a folder\n`,
      left: [],
    });
  });
});

describe("the archive service over HTTP/2", () => {
  /** Run with a transport to a server of its own, which has to close by itself. */
  async function withServer(run: (transport: Transport) => Promise<void>): Promise<void> {
    const server = await startArchiveServer();
    try {
      await run(createGrpcTransport({ baseUrl: server.baseUrl }));
    } finally {
      await server.close();
    }
  }

  const compressWith = (transport: Transport) =>
    createLongRunningClient({ compress: Compress }, transport).compress;

  it("ends a cancelled operation with code 1 and removes the archive", async () => {
    writeZeros("zeros", 16 * 1024 ** 3);
    const archive = join(directory, "folder.tar.gz");
    await withServer(async (transport) => {
      const handle = await compressWith(transport)({ folder, archive });
      for await (const { metadata } of handle.watch({
        poll: { initialDelayMs: 10, multiplier: 1 },
      })) {
        if (metadata === undefined || metadata.bytesDone === 0n) continue;
        expect(existsSync(archive)).toBe(true);
        await handle.cancel();
        break;
      }
      const error = await rejectionOf(handle.result());
      expect(error).toBeInstanceOf(OperationError);
      expect(error.code).toBe(1);
      expect(existsSync(archive)).toBe(false);
    });
  });

  it("ends an operation on a missing folder with its name", async () => {
    await withServer(async (transport) => {
      const missing = join(directory, "missing");
      const archive = join(directory, "missing.tar.gz");
      const handle = await compressWith(transport)({ folder: missing, archive });
      const error = await rejectionOf(handle.result());
      expect(error).toBeInstanceOf(OperationError);
      expect(error.code).toBe(Code.NotFound);
      expect(standardDetailsOf(error).resourceInfo).toMatchObject({
        resourceType: "archive.example/Folder",
        resourceName: missing,
      });
    });
  });

  it.each([
    ["folder", { folder: "", archive: "/a.tar.gz" }],
    ["archive", { folder: "/", archive: "" }],
    ["archive", { folder: "/", archive: "/a\0.tar.gz" }],
  ])("refuses the start itself for a bad %s", async (field, request) => {
    await withServer(async (transport) => {
      const start = createClient(ArchiveService, transport).compress(request);
      const { badRequest } = await rejectionDetailsOf(start);
      expect(badRequest?.fieldViolations.map((violation) => violation.field)).toEqual([field]);
    });
  });
});
