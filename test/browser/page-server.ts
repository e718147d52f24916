import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type HttpServer, startHttpServer } from "./http-server.js";

// The icon keeps the browser from asking for one.
const html = `<!doctype html>
<title>Print</title>
<link rel="icon" href="data:,">
<script type="module" src="/print-page.js"></script>
`;

/** Bundle print-page.ts for a browser, which fails for a `node:` module, and serve a page with it. */
export async function startPageServer(): Promise<HttpServer> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("print-page.ts", import.meta.url))],
    bundle: true,
    write: false,
    platform: "browser",
    format: "esm",
    target: "es2022",
    logLevel: "silent",
  });
  const script = outputFiles[0]?.contents;
  return startHttpServer((request, response) => {
    const isScript = request.url === "/print-page.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : html);
  });
}
