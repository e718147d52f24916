import { cp, mkdir, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./run.js";

/** The result of `npm pack`. */
export interface PackedPackage {
  /** Where the tarball is. */
  readonly tarball: string;
  /** The paths of the files in it. */
  readonly files: readonly string[];
}

export const repository = fileURLToPath(new URL("../../..", import.meta.url));

/**
 * Packs the package from the worktree. `prepare` writes `dist`, which another run may
 * be reading or writing in the repository, so it happens in a copy.
 */
export async function packPackage(directory: string): Promise<PackedPackage> {
  const copy = join(directory, "package");
  await copySources(copy);
  const output = await run(copy, "npm", "pack", "--json", "--pack-destination", directory);
  // The output of the prepare script comes first.
  const [packed] = JSON.parse(output.slice(output.search(/^\[/m))) as {
    filename: string;
    files: { path: string }[];
  }[];
  if (packed === undefined) throw new Error(`npm pack made nothing: ${output}`);
  return {
    tarball: join(directory, packed.filename),
    files: packed.files.map(({ path }) => path),
  };
}

/** Copies all files that git tracks or would add, and links the installed packages. */
async function copySources(copy: string): Promise<void> {
  const listed = await run(
    repository,
    "git",
    ...["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  );
  for (const path of listed.split("\0").filter((path) => path !== "")) {
    const source = join(repository, path);
    // Git lists a deleted file until the deletion is committed.
    if ((await stat(source).catch(() => undefined)) === undefined) continue;
    await mkdir(dirname(join(copy, path)), { recursive: true });
    await cp(source, join(copy, path));
  }
  await symlink(join(repository, "node_modules"), join(copy, "node_modules"));
}
