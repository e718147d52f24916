import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, link, open, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { fileSystemFault, folderNotFound } from "../archive/archive-errors.js";
import type { CompressedFolder, CompressProgress } from "../archive/compress-folder.js";
import { type ListedFile, listFiles } from "../archive/list-files.js";
import { readUnchanged } from "../archive/read-unchanged.js";
import { tarEnd, tarHeader, tarPadding } from "../archive/tar-blocks.js";
import type { PartCheckpoint } from "./part-checkpoint.js";

/** How a folder is compressed part by part. */
export interface CompressInPartsOptions {
  /** Where this attempt writes, and no other ever does. */
  readonly workFile: string;
  /** Go on from here. Undefined: begin at the beginning. */
  readonly checkpoint: PartCheckpoint | undefined;
  readonly signal: AbortSignal;
  /** Called after each part is written to the work file. */
  readonly onPart: (checkpoint: PartCheckpoint, progress: CompressProgress) => Promise<void>;
}

/** A part ends with the file that makes it this large, or this many files. */
const partBytes = 1024 * 1024;
const partFiles = 32;

/**
 * Compresses a folder as the archive example does, in parts that are separate gzip members. After
 * each part the file is the beginning of the archive, whichever attempt goes on.
 *
 * An attempt writes to a file of its own and begins with a copy of its predecessor's. So one
 * that was taken for dead and goes on writing does no harm. The archive appears under its name
 * all at once; if it is there with the same bytes, an earlier attempt has put it there.
 *
 * @throws ConnectError as `compressFolder` of the archive example; the signal's reason.
 */
export async function compressInParts(
  folder: string,
  archive: string,
  { workFile, checkpoint, signal, onPart }: CompressInPartsOptions,
): Promise<CompressedFolder> {
  const files = await listFiles(folder, signal);
  const listing = fingerprintOf(files);
  const from = (await isUsable(checkpoint, listing)) ? checkpoint : undefined;
  const bytesTotal = contentBytesOf(files);
  let filesDone = from?.filesDone ?? 0;
  let bytesDone = contentBytesOf(files.slice(0, filesDone));
  try {
    const output = await openOutput(workFile);
    try {
      if (from !== undefined) await output.copy(from.workFile, from.archiveBytes);
      for (const part of partsOf(files.slice(filesDone))) {
        await output.append(contentOf(part), signal);
        filesDone += part.length;
        bytesDone += contentBytesOf(part);
        const { archiveBytes } = output;
        await onPart(
          { workFile, listing, filesDone, archiveBytes },
          { filesDone, filesTotal: files.length, bytesDone, bytesTotal },
        );
      }
      await output.append([tarEnd()], signal);
    } finally {
      await output.close();
    }
    const { archiveBytes } = output;
    const sha256 = output.hash.digest("hex");
    await putInPlace(workFile, archive, sha256);
    await rm(workFile);
    if (checkpoint !== undefined) await rm(checkpoint.workFile, { force: true });
    const ratio = bytesTotal === 0 ? 0 : archiveBytes / bytesTotal;
    return { archive, archiveBytes, contentBytes: bytesTotal, ratio, sha256 };
  } catch (cause) {
    if (!isForAnother(signal)) await rm(workFile, { force: true });
    if (signal.aborted) throw signal.reason;
    throw fileSystemFault(cause, { kind: "Archive", path: archive }, (_, missing) =>
      folderNotFound(dirname(archive), missing),
    );
  }
}

/** Whether another attempt may go on from the file of this attempt. */
function isForAnother({ aborted, reason }: AbortSignal): boolean {
  const { code } = ConnectError.from(reason);
  return aborted && (code === Code.Unavailable || code === Code.Aborted);
}

/** Whether the folder is unchanged and the written part of the archive is still there. */
async function isUsable(checkpoint: PartCheckpoint | undefined, listing: string): Promise<boolean> {
  if (checkpoint?.listing !== listing) return false;
  const stats = await stat(checkpoint.workFile).catch(() => undefined);
  return stats !== undefined && stats.size >= checkpoint.archiveBytes;
}

function fingerprintOf(files: readonly ListedFile[]): string {
  const listed = files.map(({ name, size, mode, mtimeMs, linkTarget }) => [
    name,
    size,
    mode,
    mtimeMs,
    linkTarget ?? null,
  ]);
  return createHash("sha256").update(JSON.stringify(listed)).digest("hex");
}

function contentBytesOf(files: readonly ListedFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

function* partsOf(files: readonly ListedFile[]): Generator<ListedFile[]> {
  let part: ListedFile[] = [];
  for (const file of files) {
    part.push(file);
    if (part.length < partFiles && contentBytesOf(part) < partBytes) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/** The tar entries of some files. */
async function* contentOf(files: readonly ListedFile[]): AsyncGenerator<Buffer, void> {
  for (const file of files) {
    yield tarHeader(file);
    if (file.linkTarget !== undefined) continue;
    yield* readUnchanged(file);
    yield tarPadding(file.size);
  }
}

/** A new file that the archive grows in, its size and its hash. */
async function openOutput(path: string) {
  const handle: FileHandle = await open(path, "wx");
  const hash: Hash = createHash("sha256");
  let archiveBytes = 0;
  const write = async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      hash.update(chunk);
      archiveBytes += chunk.length;
      await handle.appendFile(chunk);
    }
  };
  return {
    hash,
    get archiveBytes() {
      return archiveBytes;
    },
    /** Begin with the first bytes of another file. */
    copy: (other: string, bytes: number) => write(createReadStream(other, { end: bytes - 1 })),
    /** One more gzip member. */
    append: (content: Iterable<Buffer> | AsyncIterable<Buffer>, signal: AbortSignal) =>
      pipeline(content, createGzip(), write, { signal }),
    close: () => handle.close(),
  };
}

/** Give the file the archive's name, unless another has it, whose bytes are not the same. */
async function putInPlace(workFile: string, archive: string, sha256: string): Promise<void> {
  try {
    await link(workFile, archive);
  } catch (cause) {
    const hash = createHash("sha256");
    try {
      for await (const chunk of createReadStream(archive)) hash.update(chunk);
    } catch {
      throw cause;
    }
    if (hash.digest("hex") !== sha256) throw cause;
  }
}
