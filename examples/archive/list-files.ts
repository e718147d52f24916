import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { fileChanged, fileSystemFault, folderNotFound } from "./archive-errors.js";

/** A regular file or a symbolic link, as it was when its folder was listed. */
export interface ListedFile {
  /** Path relative to the folder, with "/" between its parts. */
  readonly name: string;
  /** Path to open it by. */
  readonly path: string;
  /** Content in bytes; 0 for a link. */
  readonly size: number;
  /** Type and permissions, as in the result of `stat`. */
  readonly mode: number;
  /** When the content was last changed, in milliseconds since 1970. */
  readonly mtimeMs: number;
  /** Where a symbolic link points; undefined for a regular file. */
  readonly linkTarget: string | undefined;
}

/**
 * All files below a folder, sorted by name: by UTF-16 code units, which is the
 * same order everywhere. Symbolic links are listed and not followed, so that none
 * leads out of the folder or round in circles. Files without content to keep
 * (sockets, pipes, devices) are left out, and so are folders without files.
 *
 * @throws ConnectError `NotFound` if there is no such folder, `PermissionDenied`
 *   if it or one below it cannot be read, `Aborted` if one goes away meanwhile.
 * @throws the signal's reason.
 */
export async function listFiles(
  folder: string,
  signal: AbortSignal | undefined,
): Promise<ListedFile[]> {
  const files: ListedFile[] = [];
  const prefixes = [""];
  // The array grows while it is walked; recursion would end with a deep tree.
  for (const prefix of prefixes) {
    for (const entry of await namesIn(folder, prefix)) {
      signal?.throwIfAborted();
      const name = prefix + entry;
      const path = join(folder, name);
      try {
        const stats = await lstat(path);
        if (stats.isDirectory()) {
          prefixes.push(`${name}/`);
        } else if (stats.isFile() || stats.isSymbolicLink()) {
          const linkTarget = stats.isSymbolicLink() ? await readlink(path) : undefined;
          const size = linkTarget === undefined ? stats.size : 0;
          files.push({ name, path, size, mode: stats.mode, mtimeMs: stats.mtimeMs, linkTarget });
        }
      } catch (cause) {
        throw fileSystemFault(cause, { kind: "File", path }, fileChanged);
      }
    }
  }
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function namesIn(folder: string, prefix: string): Promise<string[]> {
  const path = prefix === "" ? folder : join(folder, prefix);
  try {
    return await readdir(path);
  } catch (cause) {
    const whenMissing = prefix === "" ? folderNotFound : fileChanged;
    throw fileSystemFault(cause, { kind: "Folder", path }, whenMissing);
  }
}
