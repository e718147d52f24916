import { execFile } from "node:child_process";
import { mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The last program that knows step 1 of the schema alone. */
export const oldCommit = "b8dfa57";

const run = promisify(execFile);
const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** Whether the clone has the old program: a shallow one does not. */
export function hasOldProgram(): Promise<boolean> {
  return run("git", ["cat-file", "-e", `${oldCommit}^{commit}`], { cwd: repository }).then(
    () => true,
    () => false,
  );
}

/** Writes the sources of the old program to a new folder, with this repository's packages. */
export async function checkOutOldProgram(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "longrunning-old-"));
  const archive = join(folder, "old.tar");
  await run("git", ["archive", "--output", archive, oldCommit], { cwd: repository });
  await run("tar", ["-xf", archive, "-C", folder]);
  await symlink(join(repository, "node_modules"), join(folder, "node_modules"));
  return folder;
}
