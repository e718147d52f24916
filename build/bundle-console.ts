import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { build, type Plugin } from "esbuild";
import { licensesOf } from "./bundle-command.js";
import { root } from "./bundle-package.js";

/** A file of the console's page. */
export interface PageFile {
  /** Relative to the page. The names of all files but the page have a hash of the content. */
  readonly path: string;
  readonly content: Uint8Array;
}

const app = join(root, "src/console/app");

const contentTypes: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Writes the files of the console's page as a module that exports them, compressed. The console's
 * handler imports it as `#console-assets`, so that it reads no files and works in every bundle.
 * Beside it, `FILE.licenses.txt` has the licences of the packages that are inside.
 *
 * @param file The path of the module to write.
 */
export async function bundleConsole(file: string): Promise<void> {
  const { files, inputs } = await bundlePage();
  const assets = files.map(({ path, content }) => ({
    path,
    contentType: contentTypes[extname(path)],
    etag: `"${hashOf(content)}"`,
    gzip: gzipSync(content, { level: 9 }).toString("base64"),
    br: brotliCompressSync(content, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
      },
    }).toString("base64"),
  }));
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `export const assets = ${JSON.stringify(assets)};\n`);
  await writeFile(`${file}.licenses.txt`, await licensesOf(inputs));
}

/** Bundles the page. Also returns the paths of all sources. */
export async function bundlePage(): Promise<{ files: PageFile[]; inputs: string[] }> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [join(app, "main.tsx")],
    outdir: "/",
    entryNames: "assets/[name]-[hash]",
    bundle: true,
    write: false,
    minify: true,
    platform: "browser",
    format: "esm",
    target: ["es2022", "chrome111", "firefox115", "safari16.4"],
    plugins: [withoutAnnotations, withoutJsonReader],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  const bundled = outputFiles.map(({ path, contents }) => ({
    path: path.replace(/^\//, ""),
    content: contents,
  }));
  const icon = await readFile(join(app, "icon.svg"));
  const files = [...bundled, { path: `assets/icon-${hashOf(icon)}.svg`, content: icon }];
  const pathOf = (extension: string) =>
    files.find(({ path }) => extname(path) === extension)?.path ?? "";
  const template = await readFile(join(app, "index.html"), "utf8");
  const html = template
    .replace("{icon}", pathOf(".svg"))
    .replace("{style}", pathOf(".css"))
    .replace("{script}", pathOf(".js"));
  files.push({ path: "index.html", content: Buffer.from(html) });
  return { files, inputs: Object.keys(metafile.inputs) };
}

/**
 * Leaves out the messages of google/api/*.proto, which annotate the methods of Operations for other
 * programs: the page reads none of them, and their descriptors are 6 % of its size.
 */
const withoutAnnotations: Plugin = {
  name: "without-annotations",
  setup({ onLoad }) {
    onLoad({ filter: /\/gen\/google\/api\/\w+_pb\.ts$/ }, ({ path }) => {
      const name = basename(path, "_pb.ts");
      const file = create(FileDescriptorProtoSchema, {
        name: `google/api/${name}.proto`,
        package: "google.api",
        syntax: "proto3",
      });
      const base64 = base64Encode(toBinary(FileDescriptorProtoSchema, file), "std_raw");
      return {
        contents: `import { fileDesc } from "@bufbuild/protobuf/codegenv2";
export const file_google_api_${name} = /*@__PURE__*/ fileDesc("${base64}");`,
        resolveDir: root,
      };
    });
  },
};

/**
 * Leaves out the reader of JSON messages, 4 % of the page's size: the page speaks binary to its
 * server, and only writes JSON. Connect imports it for transports that speak JSON.
 */
const withoutJsonReader: Plugin = {
  name: "without-json-reader",
  setup({ onLoad }) {
    onLoad({ filter: /@bufbuild\/protobuf\/dist\/esm\/from-json\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const names = [...source.matchAll(/^export function (\w+)/gm)].map(([, name]) => name);
      const functions = names.map(
        (name) => `export function ${name}() { throw new Error("the page reads no JSON"); }`,
      );
      return { contents: functions.join("\n") };
    });
  },
};

function hashOf(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("base64url").slice(0, 12);
}
