import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build } from "esbuild";

/** The checkout's folder. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** JavaScript of TypeScript modules, in a folder of its own. */
export interface Built {
  readonly folder: string;
  remove(): Promise<void>;
}

/**
 * Build modules for Node without tsx, which keeps the names of functions and makes
 * each closure greater by it. The packages of the checkout are found from there.
 *
 * @param outdir In the folder.
 */
export async function buildForNode(
  entryPoints: readonly string[],
  options: BuildOptions,
  outdir = ".",
): Promise<Built> {
  const folder = await mkdtemp(join(tmpdir(), "connect-longrunning-bench-"));
  await build({
    absWorkingDir: root,
    entryPoints: [...entryPoints],
    outdir: join(folder, outdir),
    format: "esm",
    platform: "node",
    target: "es2022",
    ...options,
  });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  return { folder, remove: () => rm(folder, { recursive: true }) };
}
