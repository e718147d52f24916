import { cp, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { repository } from "../../consumer/support/pack-package.js";
import { run } from "../../consumer/support/run.js";

/** The protos that the golden files are made of. */
export const goldenProtos = fileURLToPath(new URL("../proto", import.meta.url));

/** The plugin's sources, as buf runs them. */
export const pluginFromSources = [
  "tsx",
  join(repository, "src/plugin/protoc-gen-connect-longrunning.ts"),
];

/** The options of the golden files, but for their target. */
export const goldenOptions = [
  "import_extension=js",
  "elide_plugin_version=true",
  "map_imports=google/api/:connect-longrunning/gen",
  "map_imports=google/longrunning/:connect-longrunning/gen",
  "map_imports=google/rpc/:connect-longrunning/gen",
];

/** Files of text by their paths. */
export type Files = Readonly<Record<string, string>>;

/**
 * Make a folder in which buf finds the protos of `source`, a folder or the files
 * themselves, and google's of this package.
 */
export async function createWorkspace(directory: string, source: string | Files): Promise<string> {
  const workspace = await mkdtemp(join(directory, "workspace-"));
  const protos = join(workspace, "proto");
  if (typeof source === "string") await cp(source, protos, { recursive: true });
  else await writeFiles(protos, source);
  await cp(join(repository, "proto"), join(workspace, "ours"), { recursive: true });
  const modules = { version: "v2", modules: [{ path: "proto" }, { path: "ours" }] };
  await writeFile(join(workspace, "buf.yaml"), JSON.stringify(modules));
  await symlink(join(repository, "node_modules"), join(workspace, "node_modules"));
  return workspace;
}

/**
 * Let buf run protoc-gen-es and `plugin` in a folder with a buf.yaml, on the protos in
 * its `proto`, and give what they write to `out`.
 */
export async function bufGenerate(
  workspace: string,
  out: string,
  plugin: string | readonly string[],
  options: readonly string[],
): Promise<Files> {
  const template = {
    version: "v2",
    inputs: [{ directory: "proto" }],
    plugins: ["protoc-gen-es", plugin].map((local) => ({
      local,
      out,
      opt: options,
      strategy: "all",
    })),
  };
  await run(workspace, "buf", "generate", "--template", JSON.stringify(template));
  return readFiles(join(workspace, out));
}

/** All files in a folder and the folders in it. */
export async function readFiles(folder: string): Promise<Files> {
  const files: Record<string, string> = {};
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((entry) => entry.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files[path.slice(folder.length + 1)] = await readFile(path, "utf8");
  }
  return files;
}

async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}
