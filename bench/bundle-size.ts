// `npm run size` measures this package's share of a browser bundle. It builds the published
// files first and bundles them. It exits with 1 if the bundle contains a node: module, or if the
// two clients take more than `mostBytes`.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { buildPackage } from "./build.js";

/** The bundle of a program that calls an operations server without this package. */
const service = `
  export { createClient } from "@connectrpc/connect";
  export { createConnectTransport } from "@connectrpc/connect-web";
  export { Operations } from "connect-longrunning/gen/google/longrunning/operations_pb.js";`;

/** The bundle of such a program that also reads error details: generated code alone. */
const withoutUs = `${service}
  export {
    ErrorInfoSchema,
    RetryInfoSchema,
  } from "connect-longrunning/gen/google/rpc/error_details_pb.js";`;

/** The difference from `withoutUs` is this package's share. */
const withUs = {
  "the same and our two clients": `${withoutUs}
    export {
      createLongRunningClient,
      createOperationsClient,
      longRunning,
    } from "connect-longrunning";`,
  "the same and all of our root": `${withoutUs} export * from "connect-longrunning";`,
};

/** Most bytes of the two clients, compressed by gzip: 8.5 kB of 1,024 bytes. */
const mostBytes = 8704;

interface Size {
  readonly minified: number;
  readonly gzipped: number;
  /** The node: modules that it imports. */
  readonly nodeModules: readonly string[];
}

const built = await buildPackage();
try {
  const bare = await sizeOf(service);
  const base = await sizeOf(withoutUs);
  console.log(line("bytes, for a browser", "minified", "ours", "gzipped", "ours"));
  print("Connect, its transport, google's operations", bare);
  print("the same and google's error details", base);
  for (const [name, contents] of Object.entries(withUs)) print(name, await sizeOf(contents), base);
  const clients = await sizeOf(withUs["the same and our two clients"]);
  if (clients.gzipped - base.gzipped > mostBytes) {
    console.error(`the two clients take more than ${mostBytes} bytes`);
    process.exitCode = 1;
  }
} finally {
  await built.remove();
}

function print(name: string, { minified, gzipped, nodeModules }: Size, base?: Size) {
  const ours = base && [`+${minified - base.minified}`, `+${gzipped - base.gzipped}`];
  console.log(line(name, minified, ours?.[0] ?? "", gzipped, ours?.[1] ?? ""));
  if (nodeModules.length === 0) return;
  console.error(`not for a browser: ${nodeModules.join(", ")}`);
  process.exitCode = 1;
}

async function sizeOf(contents: string): Promise<Size> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: built.folder },
    absWorkingDir: built.folder,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    // Else esbuild gives up at the first one.
    external: ["node:*"],
    metafile: true,
    write: false,
    // Where a package is not below node_modules, esbuild warns of each import of a
    // chunk's effects that `sideEffects: false` has it leave out.
    logLevel: "error",
  });
  const [code] = outputFiles;
  if (code === undefined) throw new Error("esbuild wrote nothing");
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  const paths = new Set(imports.map(({ path }) => path));
  return {
    minified: code.contents.length,
    gzipped: gzipSync(code.contents, { level: 9 }).length,
    nodeModules: [...paths].filter((path) => path.startsWith("node:")),
  };
}

function line(name: string, ...columns: readonly (string | number)[]): string {
  return name.padEnd(50) + columns.map((column) => String(column).padStart(10)).join("");
}
