import { cp, mkdir, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./run.js";

/** What `npm pack` made. */
export interface PackedPackage {
  /** Where the tarball is. */
  readonly tarball: string;
  /** The paths of the files in it. */
  readonly files: readonly string[];
}

export const repository = fileURLToPath(new URL("../../..", import.meta.url));

/**
 * Pack this package as it stands. `prepare` writes `dist`, which another run may
 * be reading or writing in the repository, so it happens in a copy.
 */
export async function packPackage(directory: string): Promise<PackedPackage> {
  const copy = join(directory, "package");
  await copySources(copy);
  const output = await run(copy, "npm", "pack", "--json", "--pack-destination", directory);
  // What the prepare script prints comes first.
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

/** Copy all that git has or would take, with what is installed. */
async function copySources(copy: string): Promise<void> {
  const listed = await run(
    repository,
    "git",
    ...["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  );
  for (const path of listed.split("\0").filter((path) => path !== "")) {
    const source = join(repository, path);
    // Git goes on listing a file that is deleted until somebody commits that.
    if ((await stat(source).catch(() => undefined)) === undefined) continue;
    await mkdir(dirname(join(copy, path)), { recursive: true });
    await cp(source, join(copy, path));
  }
  await symlink(join(repository, "node_modules"), join(copy, "node_modules"));
}
