import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { fileChanged, fileSystemFault } from "./archive-errors.js";
import type { ListedFile } from "./list-files.js";

/** How much is read at a time, and so how much of a file is in memory. */
const chunkBytes = 64 * 1024;

/**
 * Read a file that was listed: exactly `size` bytes. Neither a link nor a pipe that
 * has taken its place since is followed or waited for.
 *
 * @throws ConnectError `Aborted` if it is not what was listed any more, which may
 *   show only after its last byte; `PermissionDenied` if it cannot be read.
 */
export async function* readUnchanged(file: ListedFile): AsyncGenerator<Buffer, void> {
  const handle = await openListed(file);
  try {
    for (let left = file.size; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(left, chunkBytes));
      const { bytesRead } = await handle.read(buffer);
      if (bytesRead === 0) throw fileChanged(file.path);
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    const { size, mtimeMs } = await handle.stat();
    if (size !== file.size || mtimeMs !== file.mtimeMs) throw fileChanged(file.path);
  } finally {
    await handle.close();
  }
}

async function openListed({ path }: ListedFile): Promise<FileHandle> {
  // Both flags are undefined, which counts as 0, where the system lacks them.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return await open(path, flags);
  } catch (cause) {
    throw fileSystemFault(cause, { kind: "File", path }, fileChanged);
  }
}
