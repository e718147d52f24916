import { base64Decode } from "@bufbuild/protobuf/wire";
import type { Asset } from "#console-assets";
import { gzip } from "../web/gzip.js";
import type { HandlerRequest, HandlerResponse } from "../web/handler.js";

/** The name of the page itself. */
export const pagePath = "index.html";

/** The policy of the page: its own scripts and styles, its own server, nothing else. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** The headers of every response that is not an RPC. */
export const securityHeaders: Readonly<Record<string, string>> = {
  "content-security-policy": contentSecurityPolicy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** A file of the page in every coding that was asked for. */
interface ServedAsset extends Asset {
  readonly bodies: Map<Coding, Uint8Array<ArrayBuffer>>;
}

type Coding = "br" | "gzip" | "identity";

/** The largest file of the page, in bytes, which only protects against a broken build. */
const maxAssetBytes = 16 * 1024 * 1024;

let loaded: Promise<ReadonlyMap<string, ServedAsset>> | undefined;

/** Loads the files when a browser opens the page; other programs never read them. */
function loadAssets(): Promise<ReadonlyMap<string, ServedAsset>> {
  loaded ??= import("#console-assets").then(
    ({ assets }) =>
      new Map(assets.map((asset) => [asset.path, { ...asset, bodies: new Map() }] as const)),
  );
  return loaded;
}

/**
 * Responds with a file of the page.
 *
 * @param path The file's path, relative to the page.
 * @returns Undefined if the page has no such file.
 */
export async function respondWithAsset(
  path: string,
  request: HandlerRequest,
): Promise<HandlerResponse | undefined> {
  const asset = (await loadAssets()).get(path);
  if (asset === undefined) return undefined;
  const headers = {
    ...securityHeaders,
    "content-type": asset.contentType,
    "cache-control": path === pagePath ? "no-cache" : "public, max-age=31536000, immutable",
    etag: asset.etag,
    vary: "accept-encoding",
  };
  if (request.headerOf("if-none-match")?.includes(asset.etag)) return { status: 304, headers };
  const coding = codingOf(request.headerOf("accept-encoding") ?? "");
  const body = await bodyOf(asset, coding);
  return {
    status: 200,
    headers: coding === "identity" ? headers : { ...headers, "content-encoding": coding },
    body: request.method === "HEAD" ? undefined : body,
  };
}

async function bodyOf(asset: ServedAsset, coding: Coding): Promise<Uint8Array<ArrayBuffer>> {
  const known = asset.bodies.get(coding);
  if (known !== undefined) return known;
  const bytes = base64Decode(coding === "br" ? asset.br : asset.gzip);
  const body = new Uint8Array(
    coding === "identity" ? await gzip.decompress(bytes, maxAssetBytes) : bytes,
  );
  asset.bodies.set(coding, body);
  return body;
}

/** Chooses the smallest coding that a client accepts (RFC 9110, section 12.5.3). */
function codingOf(acceptEncoding: string): Coding {
  const accepted = new Set(
    acceptEncoding
      .toLowerCase()
      .split(",")
      .filter((one) => !/;\s*q\s*=\s*0(\.0*)?\s*$/.test(one))
      .map((one) => one.split(";")[0]?.trim()),
  );
  if (accepted.has("br")) return "br";
  return accepted.has("gzip") || accepted.has("*") ? "gzip" : "identity";
}
