import { readdir, readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

/** The checkout's folder. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Writes the package's JavaScript: a file for each module that package.json names in
 * `exports` and `bin`, and shared code in `dist/chunks`, with source maps that name the
 * sources. A program pays about half a millisecond for each file that Node opens, and the
 * package has several hundred sources.
 *
 * No module is in two files, so that classes, WeakMaps and descriptors are the same
 * wherever they are imported from. Packages stay outside. The command is not among these
 * files: it shares nothing with a program (bundle-command.ts).
 *
 * @param folder The package's folder; `dist` is written in it.
 */
export async function bundlePackage(folder: string): Promise<void> {
  const modules = await publicModules();
  await build({
    absWorkingDir: root,
    entryPoints: modules.map((module) => ({ in: `${module}.ts`, out: module })),
    outdir: join(folder, "dist"),
    bundle: true,
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
    plugins: [oneFileOfGeneratedCode],
    packages: "external",
    external: ["#console-assets"],
    format: "esm",
    platform: "neutral",
    target: "es2022",
    sourcemap: true,
    // They are in the package.
    sourcesContent: false,
    logLevel: "warning",
  });
}

/**
 * Puts all of `gen/` into one chunk, which all importers of a part share. esbuild
 * puts two modules into one chunk if the same entry points need them, so each entry
 * point has to need all of `gen/` or nothing. Those in `gen/` itself do by the second
 * import below; the others come to it through `src/protos.ts` alone, which imports all.
 * The side effects that are claimed here keep esbuild from leaving out what an entry
 * point does not use. Other bundlers read in package.json that there are no side effects.
 */
const oneFileOfGeneratedCode: Plugin = {
  name: "one-file-of-generated-code",
  setup({ onLoad, onResolve }) {
    onResolve(
      { filter: /^\.{1,2}\/(.*\/)?(\w+_pb|protos)\.[jt]s$/ },
      ({ kind, path, resolveDir }) => {
        // esbuild starts the path of an entry point that is a file with a dot.
        const generatedEntry = kind === "entry-point" && path.startsWith("./gen/");
        if (generatedEntry) return { path, namespace: "generated-entry" };
        return { path: join(resolveDir, path.replace(/\.js$/, ".ts")), sideEffects: true };
      },
    );
    onLoad({ filter: /^/, namespace: "generated-entry" }, ({ path }) => ({
      contents: `export * from "${path}"; import "./src/protos.ts";`,
      resolveDir: root,
    }));
  },
};

/** The modules that package.json names, as paths from its folder without extension. */
async function publicModules(): Promise<string[]> {
  const manifest: { readonly exports: unknown; readonly bin: unknown } = JSON.parse(
    await readFile(join(root, "package.json"), "utf8"),
  );
  const modules: string[] = [];
  for (const target of new Set(targetsIn([manifest.exports, manifest.bin]))) {
    const [, module] = /^\.\/dist\/(.+)\.js$/.exec(target) ?? [];
    if (module === undefined || module.startsWith("src/cli/")) continue;
    modules.push(...(module.endsWith("/*") ? await modulesIn(module.slice(0, -2)) : [module]));
  }
  return modules;
}

/** The paths in a value of package.json, whatever the conditions that they stand under. */
function targetsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return Object.values(value ?? {}).flatMap(targetsIn);
}

async function modulesIn(folder: string): Promise<string[]> {
  const paths = await readdir(join(root, folder), { recursive: true });
  const modules = paths.filter((path) => path.endsWith(".ts"));
  return modules.map((path) => posix.join(folder, path.slice(0, -3)));
}
