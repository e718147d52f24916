// Streamable HTTP (MCP 2026-07-28, basic/transports/streamable-http), for both generations of MCP.
// Each POST is an independent request: there are no sessions, and no later request continues a
// stream.
import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import type { ConnectRouter, Transport } from "@connectrpc/connect";
import { createRouterTransport } from "../direct/router-transport.js";
import { systemClock } from "../internal/clock.js";
import { type ExactJson, parseJson } from "../json/parse-json.js";
import type { Handler } from "../web/handler.js";
import { handlerFromFetch } from "../web/handler-from-fetch.js";
import { createEventStream, type EventStream } from "./event-stream.js";
import {
  clientMessageOf,
  errorCodes,
  errorResponse,
  JsonRpcError,
  type JsonRpcRequest,
  resultResponse,
  rpcErrorOf,
} from "./json-rpc.js";
import { createMcpService, type McpOptions } from "./mcp-service.js";
import {
  assertModernMeta,
  isModern,
  legacyVersions,
  metaKeys,
  metaOf,
  methodNotFound,
  modernVersion,
  unsupportedVersion,
} from "./protocol.js";
import { assertHeadersMatch, assertNoContradiction } from "./request-headers.js";

/** Metadata that tells clients where to get tokens (RFC 9728). */
export interface ProtectedResource {
  /** The resource's identifier: the https URL of the MCP endpoint. */
  readonly resource: string;
  /** Issuers of tokens for it, as https URLs; at least one. */
  readonly authorizationServers: readonly string[];
  /** Scopes that clients may ask for. Default: none are named. */
  readonly scopes?: readonly string[] | undefined;
}

/** Settings of the HTTP endpoint. */
export interface McpHandlerOptions extends McpOptions {
  /** The path of the endpoint. Default: `/mcp`. */
  path?: string | undefined;
  /**
   * Origins of web pages that may call the endpoint, as `https://app.example`. Default: none, except
   * that pages on a loopback name may call a loopback name.
   */
  allowedOrigins?: readonly string[] | undefined;
  /**
   * Headers of requests, in addition to `authorization`, `traceparent`, `tracestate` and
   * `x-request-id`, that are passed on to the methods. Default: none.
   */
  forwardHeaders?: readonly string[] | undefined;
  /**
   * Serves this metadata below `/.well-known/oauth-protected-resource`, and names it in the answers
   * with status 401. Checking tokens stays with `authorize`. Default: none.
   */
  protectedResource?: ProtectedResource | undefined;
}

/** Largest body of a request, in bytes. */
const maxBodyBytes = 4 * 1024 * 1024;

const forwarded = ["authorization", "traceparent", "tracestate", "x-request-id"];

/** RFC 9728, section 3.1. */
const metadataPath = "/.well-known/oauth-protected-resource";

/**
 * Makes an MCP endpoint whose tools call the unary methods of a router, in this process.
 * Experimental: the protocol's extension for tasks still changes.
 *
 * @param router With all of its services, including google.longrunning.Operations.
 * @throws RangeError for an option out of its bounds, and for names of tools that clash.
 * @throws TypeError for long-running methods without google.longrunning.Operations in the router.
 * @example
 * const server = createServer({
 *   routes(router) {
 *     router.service(Operations, operations.service);
 *     router.service(PrintService, { print: operations.handle(Print, work) });
 *   },
 *   handlers: (router) => [createMcpHandler(router, { operations })],
 * });
 */
export function createMcpHandler(
  { handlers }: Pick<ConnectRouter, "handlers">,
  options: McpHandlerOptions = {},
): Handler {
  const methods: DescMethod[] = handlers.map(({ method }) => method);
  const service = createMcpService(methods, options);
  const path = options.path ?? "/mcp";
  const clock = options.clock ?? systemClock;
  const names = [...forwarded, ...(options.forwardHeaders ?? [])];
  const metadata = metadataOf(options.protectedResource, path);

  const answer = async (
    request: JsonRpcRequest,
    http: Request,
    transport: Transport,
    signal: AbortSignal,
    notify: ((notification: JsonObject) => void) | undefined,
  ): Promise<JsonObject> => {
    const headers = new Headers();
    for (const name of names) {
      const value = http.headers.get(name);
      if (value !== null) headers.set(name, value);
    }
    return service.answer(request, { transport, headers, signal, notify });
  };

  const post = async (http: Request, transport: Transport): Promise<Response> => {
    assertOrigin(http, options.allowedOrigins ?? []);
    const message = clientMessageOf(await readJson(http));
    if (message.kind !== "request") return new Response(null, { status: 202 });
    const { request } = message;
    try {
      assertGeneration(request, http.headers, service.hasMethod(request));
    } catch (error) {
      return errorAnswer(request, error, metadata?.url);
    }
    return respond(request, http, transport);
  };

  /** Answers with JSON, or with a stream of events once there is a notification. */
  const respond = (
    request: JsonRpcRequest,
    http: Request,
    transport: Transport,
  ): Promise<Response> =>
    new Promise((resolve) => {
      let stream: EventStream | undefined;
      const left = new AbortController();
      const signal = AbortSignal.any([http.signal, left.signal]);
      const notify = (notification: JsonObject) => {
        if (stream === undefined) {
          stream = createEventStream(clock, () => left.abort());
          resolve(stream.response);
        }
        stream.send(notification);
      };
      const takesStream = acceptsEvents(http);
      answer(request, http, transport, signal, takesStream ? notify : undefined).then(
        (result) => {
          const body = resultResponse(request.id, result);
          if (stream === undefined) resolve(jsonAnswer(200, body));
          else stream.end(body);
        },
        (error: unknown) => {
          if (stream === undefined) resolve(errorAnswer(request, error, metadata?.url));
          else stream.end(errorResponse(request.id, rpcErrorOf(error)));
        },
      );
    });

  const fetch = async (http: Request, transport: Transport): Promise<Response> => {
    try {
      if (new URL(http.url).pathname !== path)
        return metadataAnswer(http, metadata?.document ?? {});
      if (http.method !== "POST") {
        return new Response(null, { status: 405, headers: { Allow: "POST" } });
      }
      return await post(http, transport);
    } catch (error) {
      return errorAnswer(undefined, error, metadata?.url);
    }
  };

  return (request) => {
    if (request.path !== path && metadata?.paths.includes(request.path) !== true) return undefined;
    const transport = createRouterTransport(handlers, request.contextValues);
    return handlerFromFetch((http) => fetch(http, transport), { readMaxBytes: maxBodyBytes })(
      request,
    );
  };
}

/**
 * @throws JsonRpcError for a request whose headers and `_meta` do not say the same generation, version,
 *   method and name, or name a version that is not served.
 */
function assertGeneration(request: JsonRpcRequest, headers: Headers, hasMethod: boolean): void {
  const header = headers.get("mcp-protocol-version");
  const isLegacyVersion = header === null || legacyVersions.some((version) => version === header);
  if (isModern(request)) {
    assertHeadersMatch(request, headers, hasMethod, metaOf(request)[metaKeys.version]);
    return;
  }
  if (header === modernVersion) assertModernMeta(request);
  if (!isLegacyVersion) throw unsupportedVersion(header);
  assertNoContradiction(request, headers);
  if (!hasMethod) throw methodNotFound(request.method);
}

/** Reads the body, within bounds of size and depth. */
async function readJson(http: Request): Promise<ExactJson> {
  const type = http.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new JsonRpcError(
      errorCodes.invalidRequest,
      "the content type is not application/json",
      415,
    );
  }
  const bytes = new Uint8Array(
    await http.arrayBuffer().catch(() => {
      const problem = `the body is not complete, or has more than ${maxBodyBytes} bytes`;
      throw new JsonRpcError(errorCodes.invalidRequest, problem, 413);
    }),
  );
  const parseError = (problem: string) =>
    new JsonRpcError(errorCodes.parse, `the body ${problem}`, 400);
  return parseJson(bytes, parseError);
}

/**
 * @throws JsonRpcError with status 403 for a page of an origin that is not allowed: it could otherwise
 *   reach a server on its reader's machine (DNS rebinding).
 */
function assertOrigin(http: Request, allowed: readonly string[]): void {
  const origin = http.headers.get("origin");
  if (origin === null || allowed.includes(origin)) return;
  const { hostname } = new URL(http.url);
  if (isLoopback(hostname) && URL.canParse(origin) && isLoopback(new URL(origin).hostname)) return;
  throw new JsonRpcError(
    errorCodes.invalidRequest,
    "the origin is not allowed; the option allowedOrigins of the MCP handler lists those that are",
    403,
  );
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname)
  );
}

function acceptsEvents({ headers }: Request): boolean {
  return /(?:^|,)\s*(?:text\/(?:event-stream|\*)|\*\/\*)\s*(?:[;,]|$)/i.test(
    headers.get("accept") ?? "",
  );
}

function errorAnswer(
  request: JsonRpcRequest | undefined,
  thrown: unknown,
  metadataUrl: string | undefined,
): Response {
  const error = rpcErrorOf(thrown);
  const headers = new Headers();
  if (error.httpStatus === 401) {
    const parameter = metadataUrl === undefined ? "" : ` resource_metadata="${metadataUrl}"`;
    headers.set("WWW-Authenticate", `Bearer${parameter}`);
  }
  return jsonAnswer(error.httpStatus, errorResponse(request?.id, error), headers);
}

function jsonAnswer(status: number, body: JsonObject, headers = new Headers()): Response {
  headers.set("Content-Type", "application/json");
  headers.set("Cache-Control", "no-store");
  return new Response(JSON.stringify(body), { status, headers });
}

interface ResourceMetadata {
  readonly paths: readonly string[];
  readonly url: string;
  readonly document: JsonObject;
}

function metadataOf(
  resource: ProtectedResource | undefined,
  path: string,
): ResourceMetadata | undefined {
  if (resource === undefined) return undefined;
  const { resource: identifier, authorizationServers, scopes } = resource;
  if (authorizationServers.length === 0) {
    throw new RangeError("protectedResource.authorizationServers is empty");
  }
  // RFC 9728, section 3.1: the well-known path comes between the host and the resource's own path.
  const { origin, pathname } = new URL(identifier);
  const own = `${metadataPath}${pathname === "/" ? "" : pathname}`;
  return {
    paths: [...new Set([own, metadataPath, `${metadataPath}${path}`])],
    url: `${origin}${own}`,
    document: {
      resource: identifier,
      authorization_servers: [...authorizationServers],
      bearer_methods_supported: ["header"],
      ...(scopes === undefined ? {} : { scopes_supported: [...scopes] }),
    },
  };
}

function metadataAnswer(http: Request, document: JsonObject): Response {
  if (http.method !== "GET" && http.method !== "HEAD") {
    return new Response(null, { status: 405, headers: { Allow: "GET, HEAD" } });
  }
  return jsonAnswer(200, document);
}
