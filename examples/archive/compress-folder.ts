import { createHash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { fileSystemFault, folderNotFound } from "./archive-errors.js";
import { type ListedFile, listFiles } from "./list-files.js";
import { readUnchanged } from "./read-unchanged.js";
import { tarEnd, tarHeader, tarPadding } from "./tar-blocks.js";

/** How a folder is compressed. */
export interface CompressOptions {
  /** Stops the compression and removes what there is of the archive. */
  signal?: AbortSignal | undefined;
  /** Called once before the first byte, and after every chunk and every file. */
  onProgress?: ((progress: CompressProgress) => void) | undefined;
}

/** How far the compression is. */
export interface CompressProgress {
  /** Files that are wholly in the archive; a symbolic link counts as one. */
  readonly filesDone: number;
  readonly filesTotal: number;
  /** Bytes of content read so far. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** The archive that was made. */
export interface CompressedFolder {
  /** Its path, as it was given. */
  readonly archive: string;
  readonly archiveBytes: number;
  /** Size of all files in it before compression. */
  readonly contentBytes: number;
  /** `archiveBytes` divided by `contentBytes`; 0 for a folder without content. */
  readonly ratio: number;
  /** SHA-256 of the archive in lower-case hexadecimal digits. */
  readonly sha256: string;
}

/**
 * Write every file of a folder (see `listFiles`) into one gzip-compressed tar. Of
 * the files a chunk at a time is in memory, of the folder the list.
 *
 * The archive is written in its place, which no other process can take from the moment
 * it is opened, and is removed again unless all went well.
 *
 * @throws ConnectError what `listFiles` and `readUnchanged` throw; `AlreadyExists`
 *   if there is something at `archive`, `NotFound` if the folder it goes to does
 *   not exist, `PermissionDenied` or `ResourceExhausted` if it cannot be written;
 *   `Code.Canceled` if the signal aborted, or its reason if that is a ConnectError.
 */
export async function compressFolder(
  folder: string,
  archive: string,
  options: CompressOptions = {},
): Promise<CompressedFolder> {
  const { signal, onProgress } = options;
  try {
    signal?.throwIfAborted();
    // First the list, then the archive, which so is not in the list if it goes into the folder.
    const files = await listFiles(folder, signal);
    const output = await createArchive(archive);
    try {
      const written = await writeArchive(files, output, { signal, onProgress });
      return { archive, ...written };
    } catch (cause) {
      await rm(archive, { force: true });
      throw fileSystemFault(cause, { kind: "Archive", path: archive }, archiveFolderNotFound);
    }
  } catch (cause) {
    throw signal?.aborted ? ConnectError.from(signal.reason, Code.Canceled) : cause;
  }
}

async function createArchive(path: string): Promise<FileHandle> {
  try {
    return await open(path, "wx");
  } catch (cause) {
    throw fileSystemFault(cause, { kind: "Archive", path }, archiveFolderNotFound);
  }
}

function archiveFolderNotFound(archive: string, cause: unknown): ConnectError {
  return folderNotFound(dirname(archive), cause);
}

/** Write the archive to a new file, which is closed in the end. */
async function writeArchive(
  files: readonly ListedFile[],
  output: FileHandle,
  { signal, onProgress }: CompressOptions,
): Promise<Omit<CompressedFolder, "archive">> {
  const contentBytes = files.reduce((sum, { size }) => sum + size, 0);
  const hash = createHash("sha256");
  let archiveBytes = 0;
  try {
    await pipeline(
      tarOf(files, onProgress ?? (() => undefined)),
      createGzip(),
      async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          hash.update(chunk);
          archiveBytes += chunk.length;
          await output.appendFile(chunk);
        }
      },
      { signal },
    );
  } finally {
    await output.close();
  }
  const ratio = contentBytes === 0 ? 0 : archiveBytes / contentBytes;
  return { archiveBytes, contentBytes, ratio, sha256: hash.digest("hex") };
}

/** The bytes of a tar archive, made as fast as they are taken. */
async function* tarOf(
  files: readonly ListedFile[],
  onProgress: (progress: CompressProgress) => void,
): AsyncGenerator<Buffer, void> {
  const filesTotal = files.length;
  const bytesTotal = files.reduce((sum, { size }) => sum + size, 0);
  let filesDone = 0;
  let bytesDone = 0;
  const notifySafely = () => onProgress({ filesDone, filesTotal, bytesDone, bytesTotal });
  notifySafely();
  for (const file of files) {
    yield tarHeader(file);
    if (file.linkTarget === undefined) {
      for await (const chunk of readUnchanged(file)) {
        yield chunk;
        bytesDone += chunk.length;
        notifySafely();
      }
      yield tarPadding(file.size);
    }
    filesDone += 1;
    notifySafely();
  }
  yield tarEnd();
}
