import { loadNode } from "../../internal/load-node.js";

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
  const { open, realpath } = await loadNode<FileSystem>("node:fs/promises");
  try {
    const created = await open(path, "wx", 0o600);
    await created.close();
  } catch (cause) {
    if (!isExisting(cause)) throw cause;
  }
  return realpath(path);
}

function isExisting(cause: unknown): boolean {
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EEXIST";
}
