// What this package adds to a browser's bundle: `npm run size`. Exits 1 if a node:
// module is in it. Bundles the sources, so that nothing need be built.
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What a program pays that calls an operations server without any of this package. */
const service = `
  export { createClient } from "@connectrpc/connect";
  export { createConnectTransport } from "@connectrpc/connect-web";
  export { Operations } from "connect-longrunning/gen/google/longrunning/operations_pb.js";`;

/** The same, for one that also reads the details of errors: generated code, and no more. */
const withoutUs = `${service}
  export {
    ErrorInfoSchema,
    RetryInfoSchema,
  } from "connect-longrunning/gen/google/rpc/error_details_pb.js";`;

const subjects = [
  ["Connect, its transport, google's operations", service],
  ["the same and google's error details", withoutUs],
  [
    "the same and our two clients",
    `${withoutUs}
    export {
      createLongRunningClient,
      createOperationsClient,
      longRunning,
    } from "connect-longrunning";`,
  ],
  ["the same and all of our root", `${withoutUs} export * from "connect-longrunning";`],
];

const rows = [];
for (const [name, contents] of subjects) rows.push({ name, ...(await sizeOf(contents)) });

// Ours is what comes to the generated code of google's protos.
const [, base] = rows;
console.log(line("bytes, for a browser", "minified", "ours", "gzipped", "ours"));
for (const { name, minified, gzipped } of rows) {
  const ours = (size, key) => (size <= base[key] ? "" : `+${size - base[key]}`);
  console.log(line(name, minified, ours(minified, "minified"), gzipped, ours(gzipped, "gzipped")));
}

const nodeModules = new Set(rows.flatMap((row) => row.nodeModules));
if (nodeModules.size > 0) {
  console.error(`not for a browser: ${[...nodeModules].join(", ")}`);
  process.exitCode = 1;
}

async function sizeOf(contents) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: root },
    absWorkingDir: root,
    // Its paths lead from the package's name to the sources.
    tsconfig: "tsconfig.json",
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    // Else esbuild gives up at the first one.
    external: ["node:*"],
    metafile: true,
    write: false,
  });
  const code = outputFiles[0].contents;
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  return {
    minified: code.length,
    gzipped: gzipSync(code, { level: 9 }).length,
    nodeModules: imports.map(({ path }) => path).filter((path) => path.startsWith("node:")),
  };
}

function line(name, ...columns) {
  return name.padEnd(50) + columns.map((column) => String(column).padStart(10)).join("");
}
