/** The functions of node:fs/promises that this file uses. */
interface FileSystem {
  open(path: string, flags: string, mode: number): Promise<{ close(): Promise<void> }>;
  realpath(path: string): Promise<string>;
}

/**
 * Creates the file if it does not exist, and returns its canonical path. Only its owner can read
 * and write it. SQLite gives the files beside it the same permissions.
 *
 * A file that exists is not opened here, because closing it would release the locks that another
 * connection of this process has on it (POSIX advisory locks).
 *
 * @throws Error of the file system.
 */
export async function prepareFile(path: string): Promise<string> {
  const { open, realpath } = await loadFileSystem();
  try {
    const created = await open(path, "wx", 0o600);
    await created.close();
  } catch (cause) {
    if (!isExisting(cause)) throw cause;
  }
  return realpath(path);
}

/** Imports by a name that is not a literal, because this file is checked and bundled without Node. */
async function loadFileSystem(): Promise<FileSystem> {
  const name = "node:fs/promises";
  const module: FileSystem = await import(/* webpackIgnore: true */ /* @vite-ignore */ `${name}`);
  return module;
}

function isExisting(cause: unknown): boolean {
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EEXIST";
}
