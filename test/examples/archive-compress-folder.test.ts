import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileSystemFault, folderNotFound } from "../../examples/archive/archive-errors.js";
import {
  type CompressOptions,
  type CompressProgress,
  compressFolder,
} from "../../examples/archive/compress-folder.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { rejectionOf } from "../support/rejection.js";

/** More than two chunks of reading. */
const longContent = Buffer.alloc(150_000, "archive");

let directory: string;
let folder: string;
let archive: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "archive-test-"));
  folder = join(directory, "folder");
  archive = join(directory, "folder.tar.gz");
  mkdirSync(folder);
});

afterEach(() => rmSync(directory, { recursive: true }));

function write(name: string, content: string | Buffer): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

function tar(...args: string[]): string {
  return execFileSync("tar", args, { encoding: "utf8" });
}

function namesIn(path: string): string[] {
  return tar("--quoting-style=literal", "-tzf", path).split("\n").slice(0, -1);
}

/** The error of a compression, which has left nothing in the archive's place. */
async function errorOf(options?: CompressOptions): Promise<ConnectError> {
  const error = await rejectionOf(compressFolder(folder, archive, options));
  expect(existsSync(archive)).toBe(false);
  return error;
}

function detailsOf(error: ConnectError) {
  const { errorInfo, resourceInfo } = standardDetailsOf(error);
  return {
    code: error.code,
    reason: errorInfo?.reason,
    domain: errorInfo?.domain,
    type: resourceInfo?.resourceType,
    name: resourceInfo?.resourceName,
  };
}

describe("compressFolder", () => {
  it("writes every file, which tar gives back as it was, sorted by name", async () => {
    const contents = new Map<string, string | Buffer>([
      ["B.txt", "upper case sorts first"],
      ["a.txt", "x".repeat(512)],
      ["a/b/deep.bin", longContent],
      ["a/empty", ""],
      ["n\u00fcmbers \u2713.txt", "not ASCII"],
      ["with\nnewline", "odd"],
      ["y".repeat(100), "fills the name field"],
      [`${"z".repeat(60)}/${"z".repeat(60)}`, "goes to the prefix field"],
      [`zz/${"z".repeat(200)}`, "needs a pax header"],
      [`zzz/${"z".repeat(150)}/${"z".repeat(150)}/${"z".repeat(150)}`, "and so does this"],
    ]);
    for (const [name, content] of contents) write(name, content);
    chmodSync(join(folder, "a.txt"), 0o750);
    const changeTime = new Date("2001-02-03T04:05:06Z");
    utimesSync(join(folder, "a.txt"), changeTime, changeTime);

    const made = await compressFolder(folder, archive);

    const bytes = readFileSync(archive);
    const contentBytes = [...contents.values()].reduce(
      (sum, text) => sum + Buffer.from(text).length,
      0,
    );
    expect(made).toEqual({
      archive,
      archiveBytes: bytes.length,
      contentBytes,
      ratio: bytes.length / contentBytes,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    });
    expect(namesIn(archive).join("\n")).toBe([...contents.keys()].sort().join("\n"));
    const copy = join(directory, "copy");
    mkdirSync(copy);
    tar("-xzf", archive, "-C", copy);
    for (const [name, content] of contents) {
      expect(readFileSync(join(copy, name)).equals(Buffer.from(content)), name).toBe(true);
    }
    const { mode, mtimeMs } = statSync(join(copy, "a.txt"));
    expect([mode & 0o777, mtimeMs]).toEqual([0o750, changeTime.getTime()]);
  });

  it("keeps symbolic links as links, wherever they lead", async () => {
    mkdirSync(join(directory, "elsewhere"));
    writeFileSync(join(directory, "elsewhere", "secret"), "not ours");
    const longTarget = `../${"x".repeat(150)}`;
    symlinkSync("../elsewhere", join(folder, "out"));
    symlinkSync(".", join(folder, "round"));
    symlinkSync(longTarget, join(folder, "nowhere"));

    const { contentBytes } = await compressFolder(folder, archive);

    expect(contentBytes).toBe(0);
    expect(namesIn(archive)).toEqual(["nowhere", "out", "round"]);
    tar("-xzf", archive, "-C", directory);
    expect(readlinkSync(join(directory, "out"))).toBe("../elsewhere");
    expect(readlinkSync(join(directory, "nowhere"))).toBe(longTarget);
  });

  it("leaves out what has no content to keep", async () => {
    write("file", "content");
    mkdirSync(join(folder, "without files"));
    execFileSync("mkfifo", [join(folder, "pipe")]);
    await compressFolder(folder, archive);
    expect(namesIn(archive)).toEqual(["file"]);
  });

  it("tells how far it is, from nothing to everything", async () => {
    write("a", longContent);
    write("b", "");
    write("c", longContent);
    const seen: CompressProgress[] = [];
    await compressFolder(folder, archive, { onProgress: (progress) => seen.push(progress) });
    const totals = { filesTotal: 3, bytesTotal: 300_000 };
    expect(seen.at(0)).toEqual({ filesDone: 0, bytesDone: 0, ...totals });
    expect(seen.at(-1)).toEqual({ filesDone: 3, bytesDone: 300_000, ...totals });
    expect(seen.some(({ bytesDone }) => bytesDone > 0 && bytesDone < 150_000)).toBe(true);
    const inOrder = seen.toSorted((a, b) => a.bytesDone - b.bytesDone || a.filesDone - b.filesDone);
    expect(seen).toEqual(inOrder);
  });

  it("makes an empty archive of an empty folder", async () => {
    expect(await compressFolder(folder, archive)).toMatchObject({ contentBytes: 0, ratio: 0 });
    expect(namesIn(archive)).toEqual([]);
  });

  it("does not put an archive into itself", async () => {
    write("a", "content");
    const inside = join(folder, "inside.tar.gz");
    await compressFolder(folder, inside);
    expect(namesIn(inside)).toEqual(["a"]);
  });

  it.each([
    ["is missing", () => rmSync(folder, { recursive: true })],
    [
      "is a file",
      () => {
        rmSync(folder, { recursive: true });
        writeFileSync(folder, "");
      },
    ],
  ])("names the folder in a NOT_FOUND if it %s", async (_, change) => {
    change();
    expect(detailsOf(await errorOf())).toEqual({
      code: Code.NotFound,
      reason: "FOLDER_NOT_FOUND",
      domain: "archive.example",
      type: "archive.example/Folder",
      name: folder,
    });
  });

  it("names the folder that the archive was to go to, if that is missing", async () => {
    archive = join(directory, "missing", "folder.tar.gz");
    const error = await errorOf();
    expect(detailsOf(error)).toMatchObject({ code: Code.NotFound, name: dirname(archive) });
  });

  it("leaves what it finds in the archive's place as it is", async () => {
    write("a", "content");
    writeFileSync(archive, "another archive");
    const error = await rejectionOf(compressFolder(folder, archive));
    expect(detailsOf(error)).toEqual({
      code: Code.AlreadyExists,
      reason: "ARCHIVE_EXISTS",
      domain: "archive.example",
      type: "archive.example/Archive",
      name: archive,
    });
    expect(readFileSync(archive, "utf8")).toBe("another archive");
  });

  it("does nothing at all if the signal has aborted before", async () => {
    const calls: CompressProgress[] = [];
    const onProgress = (progress: CompressProgress) => calls.push(progress);
    const error = await errorOf({ signal: AbortSignal.abort("enough"), onProgress });
    expect(error.code).toBe(Code.Canceled);
    expect(calls).toEqual([]);
  });

  it.each([
    ["before the first byte", ({ bytesDone }: CompressProgress) => bytesDone === 0],
    ["within a file", ({ bytesDone }: CompressProgress) => bytesDone > 150_000],
    ["after the last file", ({ filesDone }: CompressProgress) => filesDone === 2],
  ])("removes the archive if the signal aborts %s", async (_, isTime) => {
    write("a", longContent);
    write("b", longContent);
    const controller = new AbortController();
    const reason = new ConnectError("somebody asked for it", Code.Canceled);
    const onProgress = (progress: CompressProgress) => {
      expect(existsSync(archive)).toBe(true);
      if (isTime(progress)) controller.abort(reason);
    };
    expect(await errorOf({ signal: controller.signal, onProgress })).toBe(reason);
  });

  it.skipIf(process.platform !== "linux")("has no file open after an abort", async () => {
    write("a", longContent);
    const controller = new AbortController();
    const onProgress = ({ bytesDone }: CompressProgress) => {
      if (bytesDone > 0) controller.abort();
    };
    await errorOf({ signal: controller.signal, onProgress });
    const open = readdirSync("/proc/self/fd").flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return []; // the one that this very listing used
      }
    });
    expect(open.filter((path) => path.startsWith(directory))).toEqual([]);
  });

  it("removes the archive and rejects with the error of onProgress", async () => {
    write("a", "content");
    const bug = new TypeError("of the caller");
    const onProgress = () => {
      throw bug;
    };
    await expect(compressFolder(folder, archive, { onProgress })).rejects.toBe(bug);
    expect(existsSync(archive)).toBe(false);
  });

  describe.each([
    ["before it is read", ({ bytesDone }: CompressProgress) => bytesDone === 0],
    ["while it is read", ({ bytesDone }: CompressProgress) => bytesDone > 0],
  ])("ends ABORTED if a file changes %s:", (_, isTime) => {
    it.each([
      ["it shrinks", (path: string) => truncateSync(path, 1000)],
      ["it grows", (path: string) => appendFileSync(path, "more")],
      [
        "it is written over",
        (path: string) => {
          writeFileSync(path, longContent.toReversed());
          // In case the clock of the file system is coarse.
          utimesSync(path, 1, 1);
        },
      ],
    ])("%s", async (__, change) => {
      await expectChanged(isTime, change);
    });
  });

  it.each([
    ["goes away", (path: string) => rmSync(path)],
    [
      "becomes a link",
      (path: string) => {
        rmSync(path);
        symlinkSync(import.meta.filename, path);
      },
    ],
    [
      "becomes a pipe",
      (path: string) => {
        rmSync(path);
        execFileSync("mkfifo", [path]);
      },
    ],
  ])("ends ABORTED if a file %s before it is read", async (_, change) => {
    await expectChanged(({ bytesDone }) => bytesDone === 0, change);
  });

  async function expectChanged(
    isTime: (progress: CompressProgress) => boolean,
    change: (path: string) => void,
  ): Promise<void> {
    write("file", longContent);
    const path = join(folder, "file");
    let changed = false;
    const onProgress = (progress: CompressProgress) => {
      if (changed || !isTime(progress)) return;
      changed = true;
      change(path);
    };
    expect(detailsOf(await errorOf({ onProgress }))).toEqual({
      code: Code.Aborted,
      reason: "FILE_CHANGED",
      domain: "archive.example",
      type: "archive.example/File",
      name: path,
    });
  }

  // Nothing is denied to root.
  it.skipIf(process.getuid?.() === 0)("names a file that it may not read", async () => {
    write("file", "secret");
    chmodSync(join(folder, "file"), 0);
    expect(detailsOf(await errorOf())).toMatchObject({
      code: Code.PermissionDenied,
      reason: "ACCESS_DENIED",
      name: join(folder, "file"),
    });
  });
});

describe("fileSystemFault", () => {
  const archiveAt = { kind: "Archive", path: "/a.tar.gz" } as const;
  const refusal = (code: string) => Object.assign(new Error(code), { code });

  it.each([
    ["ENOENT", Code.NotFound],
    ["EACCES", Code.PermissionDenied],
    ["EROFS", Code.PermissionDenied],
    ["ENOSPC", Code.ResourceExhausted],
    ["EDQUOT", Code.ResourceExhausted],
  ])("turns %s into an error of code %i, with the cause", (systemCode, code) => {
    const cause = refusal(systemCode);
    expect(fileSystemFault(cause, archiveAt, folderNotFound)).toMatchObject({ code, cause });
  });

  it.each([
    ["a fault that nobody expects", refusal("EIO")],
    ["what is no fault of the file system", new TypeError("bug")],
    ["a ConnectError", folderNotFound("/folder")],
  ])("leaves %s as it is", (_, cause) => {
    expect(fileSystemFault(cause, archiveAt, folderNotFound)).toBe(cause);
  });
});
