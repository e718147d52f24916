import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { root } from "./bundle-package.js";

/** The packages that the command loads on demand, because a database or metrics are asked for. */
const onDemand = ["pg", "pg-boss", "libsql", "@opentelemetry/*"];

/**
 * Writes the `longrunning` command as one file that needs no other package: Connect, Protobuf-ES
 * and the argument parser are inside, so that the library does not depend on them. Beside it,
 * `FILE.licenses.txt` has the licences of the packages that are inside.
 *
 * @param file The path of the file to write.
 */
export async function bundleCommand(file: string): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["src/cli/longrunning.ts"],
    outfile: file,
    bundle: true,
    external: [...onDemand, "#console-assets"],
    plugins: [openTelemetryOnDemand],
    platform: "node",
    format: "esm",
    target: "node20",
    minifyWhitespace: true,
    // For the packages inside that are CommonJS and require a module of Node.
    banner: {
      js: `import { createRequire as createCommandRequire } from "node:module";
const require = createCommandRequire(import.meta.url);`,
    },
    metafile: true,
    logLevel: "warning",
  });
  await writeFile(`${file}.licenses.txt`, await licensesOf(Object.keys(metafile.inputs)));
}

/**
 * `src/opentelemetry` imports its package statically, and in a single file static imports run at
 * the start. This module loads the package when `src/opentelemetry` itself is loaded.
 */
const openTelemetryOnDemand: Plugin = {
  name: "opentelemetry-on-demand",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^@opentelemetry\/api$/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "opentelemetry" } : undefined,
    );
    onLoad({ filter: /^/, namespace: "opentelemetry" }, async ({ path }) => {
      const names = Object.keys(await import("@opentelemetry/api"));
      const exported = names.filter((name) => name !== "default" && name !== "module.exports");
      return {
        contents: `export const { ${exported.join(", ")} } = await import("${path}");`,
        resolveDir: root,
      };
    });
  },
};

/** The licences of the packages that these files belong to, one after the other. */
export async function licensesOf(files: readonly string[]): Promise<string> {
  const filesByPackage = new Map<string, string[]>();
  for (const file of files) {
    const [folder] = /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? [];
    if (folder === undefined) continue;
    filesByPackage.set(folder, [...(filesByPackage.get(folder) ?? []), file]);
  }
  const licenses = await Promise.all(
    [...filesByPackage].sort().map(([folder, files]) => licenseOf(folder, files)),
  );
  return licenses.join(`\n${"-".repeat(80)}\n\n`);
}

/** The licence file of a package, or the notices in its sources if it has no such file. */
async function licenseOf(folder: string, files: readonly string[]): Promise<string> {
  const manifest: { readonly name: string; readonly version: string; readonly license: string } =
    JSON.parse(await readFile(join(root, folder, "package.json"), "utf8"));
  const title = `${manifest.name} ${manifest.version}, ${manifest.license}\n\n`;
  const names = await readdir(join(root, folder));
  const name = names.find((one) => /^licen[cs]e/i.test(one));
  if (name !== undefined) return title + (await readFile(join(root, folder, name), "utf8"));
  const sources = await Promise.all(files.map((file) => readFile(join(root, file), "utf8")));
  const notices = new Set(sources.map((source) => /^(?:\/\/.*\n)+/.exec(source)?.[0] ?? ""));
  const copyrights = [...notices].filter((notice) => notice.includes("Copyright"));
  if (copyrights.length === 0) throw new Error(`${manifest.name} has no licence text`);
  return title + copyrights.join("\n");
}
