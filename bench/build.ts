import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BuildOptions, build } from "esbuild";
import { bundlePackage, root } from "../build/bundle-package.js";

/** A folder of its own, for JavaScript that was built. */
export interface Built {
  readonly folder: string;
  remove(): Promise<void>;
}

/**
 * Build modules for Node without tsx, which keeps the names of functions and makes
 * each closure greater by it.
 */
export async function buildForNode(
  entryPoints: readonly string[],
  options: BuildOptions,
): Promise<Built> {
  const built = await createFolder();
  await build({
    absWorkingDir: root,
    entryPoints: [...entryPoints],
    outdir: built.folder,
    format: "esm",
    platform: "node",
    target: "es2022",
    ...options,
  });
  return built;
}

/** This package as it is published, but for types: from its folder it is found by its own name. */
export async function buildPackage(): Promise<Built> {
  const built = await createFolder();
  await bundlePackage(built.folder);
  await cp(join(root, "package.json"), join(built.folder, "package.json"));
  return built;
}

/** An empty folder, from which the packages of the checkout are found. */
async function createFolder(): Promise<Built> {
  const folder = await mkdtemp(join(tmpdir(), "connect-longrunning-bench-"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  return { folder, remove: () => rm(folder, { recursive: true }) };
}
