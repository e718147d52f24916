import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildForNode } from "./build.js";

/** Modules of `subjects/`, built as published packages are. */
export interface BuiltSubjects {
  /** Where the module of this name is now. */
  url(name: string): URL;
  remove(): Promise<void>;
}

/** Builds the subjects without tsx, each bundled with its imports from this package. */
export async function buildSubjects(names: readonly string[]): Promise<BuiltSubjects> {
  const { folder, remove } = await buildForNode(
    names.map((name) => `bench/subjects/${name}.ts`),
    { bundle: true, packages: "external", outExtension: { ".js": ".mjs" } },
  );
  return { url: (name) => pathToFileURL(join(folder, `${name}.mjs`)), remove };
}
