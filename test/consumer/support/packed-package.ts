import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { type PackedPackage, packPackage } from "./pack-package.js";

declare module "vitest" {
  interface ProvidedContext {
    /** The package from the worktree, in a tarball. */
    packedPackage: PackedPackage;
  }
}

/** Packs the package once for all tests that want it, since it is compiled for that. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), "connect-longrunning-packed-"));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    project.provide("packedPackage", await packPackage(directory));
  } catch (cause) {
    await remove();
    throw cause;
  }
  return remove;
}
