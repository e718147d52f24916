import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { parseGrpcContentType } from "../direct/connect-protocol.js";
import { unaryRouteOf } from "../direct/recording-router.js";
import { rememberLast } from "../internal/remember-last.js";
import type { Routes } from "../web/routes.js";
import type { AllowedHosts } from "./allowed-hosts.js";
import { answerFastCall, createFastServer } from "./fast-call.js";
import { createFastMethod, type FastMethod } from "./fast-method.js";
import type { ReceivedBytes } from "./received-bytes.js";
import type { ServerEvent } from "./server-events.js";
import type { ResolvedLimits } from "./server-limits.js";
import type { ServerOptions } from "./server-options.js";

/**
 * Serves a request, or returns false if it cannot. It serves unary gRPC calls with plain headers.
 * Connect's handlers serve all other requests.
 */
export type FastPath = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[] | undefined,
) => boolean;

/** Serves unary gRPC on the events of Node's HTTP/2 streams. */
export function createFastPath(
  options: ServerOptions,
  limits: ResolvedLimits,
  routes: Routes,
  received: ReceivedBytes,
  hosts: AllowedHosts,
  log: (event: ServerEvent) => void,
): FastPath {
  const { cors, contextValues } = options;
  const methods = new Map<string, FastMethod>();
  for (const handler of routes.rpcs) {
    const route = handler.protocolNames.includes("grpc") ? unaryRouteOf(handler) : undefined;
    // If a path is registered twice, the last registration counts.
    if (route === undefined) methods.delete(handler.requestPath);
    else methods.set(handler.requestPath, createFastMethod(route, routes.payloads));
  }
  const extraHeaders: OutgoingHttpHeaders =
    cors === undefined || cors.origins === "*" ? {} : { vary: "origin" };
  const server = createFastServer({ limits, contextValues, extraHeaders, received, log });
  const originOf = rememberLast(originUrl);
  const isBinary = rememberLast((contentType) => parseGrpcContentType(contentType)?.binary);

  return (stream, headers, rawHeaders) => {
    const path = headers[":path"];
    const method = path === undefined ? undefined : methods.get(path);
    if (method === undefined || path === undefined || headers[":method"] !== "POST") return false;
    const binary = isBinary(headers["content-type"] ?? "");
    if (binary === undefined || headers.expect !== undefined) return false;
    if (cors !== undefined && headers.origin !== undefined) return false;
    const scheme = stream.session?.encrypted === true ? "https" : "http";
    const origin = originOf(`${scheme}://${headers[":authority"] ?? ""}`);
    if (origin === undefined || !hosts.allows(origin)) return false;
    const request = { stream, headers, rawHeaders, path, isBinary: binary, origin };
    answerFastCall(server, method, request);
    return true;
  };
}

/** Returns the origin in the form of URLs, or undefined if the text is not an origin. */
function originUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.pathname === "/" && url.search === "" && url.hash === ""
    ? url.href.slice(0, -1)
    : undefined;
}
