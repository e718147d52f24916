import type { ConnectError, ConnectRouter } from "@connectrpc/connect";
import { createRouterTransport } from "../direct/router-transport.js";
import { withHeaders } from "../direct/with-headers.js";
import { Operations, ServerReflection } from "../protos.js";
import { httpStatusFromCode } from "../status/http-status.js";
import { errorResponse, refusal } from "../web/error-response.js";
import { notServed } from "../web/errors.js";
import type { Handler, HandlerRequest, HandlerResponse } from "../web/handler.js";
import { respondByRpc } from "../web/rpc-response.js";
import { type ConsoleConfig, tokenHeader } from "./console-config.js";
import type { ConsoleOptions } from "./console-options.js";
import { consoleReadOnly, consoleTokenRequired, methodNotServed, otherOrigin } from "./errors.js";
import { pagePath, respondWithAsset, securityHeaders } from "./page-assets.js";
import { createTypeFiles, type TypeFiles } from "./type-files.js";

/** Settings of a console that shows the operations of another server. */
export interface ProxyOptions {
  /** Every request except those for the page's files must have this token in the header `x-console-token`. */
  readonly token: string;
  readonly server: { readonly url: string; readonly protocol: string };
}

/** The handler of one method. */
type RouterHandler = ConnectRouter["handlers"][number];

/** The methods that change operations. */
const changes: ReadonlySet<string> = new Set(["CancelOperation", "DeleteOperation"]);

/** The headers with a caller's credentials. */
const credentials = ["authorization", "cookie"];

/**
 * Creates the handler of a console. The paths below its own are `rpc/`, the five methods, `types/`,
 * descriptors, `config`, and the files of the page.
 */
export function createConsoleHandler(
  { handlers }: Pick<ConnectRouter, "handlers">,
  options: ConsoleOptions,
  proxy?: ProxyOptions,
): Handler {
  const base = basePathOf(options.path ?? "/console");
  const { readOnly = false, parents = [""], title = "Operations" } = options;
  const methods = operationsMethods(handlers);
  const hasReflection = handlers.some(
    ({ service }) => service.typeName === ServerReflection.typeName,
  );
  const files = createTypeFiles(options.registry);
  const config: ConsoleConfig = {
    path: base,
    title,
    readOnly,
    parents: parents.length === 0 ? [""] : parents,
    server: proxy?.server,
  };

  const data = async (
    path: string,
    request: HandlerRequest,
  ): Promise<HandlerResponse | undefined> => {
    const [, method] = /^rpc\/google\.longrunning\.Operations\/(\w+)$/.exec(path) ?? [];
    const [, typeName] = /^types\/([\w.]{1,512})$/.exec(path) ?? [];
    if (method === undefined && typeName === undefined && path !== "config") return undefined;
    const rpc = method === undefined ? undefined : methods.get(method);
    const refused = refusalOf(request, method, rpc, readOnly, proxy?.token);
    if (refused !== undefined) return errorOf(request, method, refused);
    if (rpc !== undefined) return uncached(await respondByRpc(rpc, request));
    if (request.method !== "GET") return methodNotAllowed("GET");
    if (typeName === undefined) return dataResponse("application/json", JSON.stringify(config));
    const set = await typeFilesOf(files, hasReflection ? handlers : undefined, typeName, request);
    return dataResponse("application/octet-stream", set);
  };

  const respond = async (path: string, request: HandlerRequest): Promise<HandlerResponse> => {
    const response = await data(path, request);
    if (response !== undefined) return response;
    if (request.method !== "GET" && request.method !== "HEAD") return methodNotAllowed("GET, HEAD");
    const asset = await respondWithAsset(path === "" ? pagePath : path, request);
    return asset ?? withSecurity(refusal(request, notServed(request.path), 404));
  };

  return (request) => {
    const { path } = request;
    if (path === base && base !== "") return redirectToFolder(request, base);
    if (!path.startsWith(`${base}/`)) return undefined;
    return respond(path.slice(base.length + 1), request);
  };
}

/** @throws RangeError if the path is not absolute, or has a query or a fragment. */
function basePathOf(path: string): string {
  if (!path.startsWith("/") || /[?#\s]/.test(path) || path.includes("//")) {
    throw new RangeError(`path must be an absolute path such as "/console", not "${path}"`);
  }
  return path.replace(/\/$/, "");
}

/** @throws TypeError if there is no method of google.longrunning.Operations. */
function operationsMethods(
  handlers: ConnectRouter["handlers"],
): ReadonlyMap<string, RouterHandler> {
  const methods = handlers.filter(({ service }) => service.typeName === Operations.typeName);
  if (methods.length === 0) {
    throw new TypeError(
      "the router has no google.longrunning.Operations, which the console shows: add " +
        "`router.service(Operations, operations.service)`",
    );
  }
  return new Map(methods.map((handler) => [handler.method.name, handler]));
}

/** Returns the reason for which a request for data is refused; undefined if it is not. */
function refusalOf(
  request: HandlerRequest,
  method: string | undefined,
  rpc: RouterHandler | undefined,
  readOnly: boolean,
  token: string | undefined,
): ConnectError | undefined {
  // Browsers send this header, and pages cannot change it (Fetch Metadata). Other clients do not
  // send it.
  const site = request.headerOf("sec-fetch-site") ?? "same-origin";
  if (site !== "same-origin" && site !== "none") return otherOrigin();
  if (token !== undefined && !isSameText(request.headerOf(tokenHeader) ?? "", token)) {
    return consoleTokenRequired();
  }
  if (method === undefined) return undefined;
  if (rpc === undefined) return methodNotServed(method);
  return readOnly && changes.has(method) ? consoleReadOnly(method) : undefined;
}

/** Compares in a time that depends on the length alone. */
function isSameText(given: string, wanted: string): boolean {
  let difference = given.length ^ wanted.length;
  for (let at = 0; at < wanted.length; at += 1) {
    difference |= given.charCodeAt(at) ^ wanted.charCodeAt(at);
  }
  return difference === 0;
}

/** Returns an error in the form of the RPC's protocol, or as JSON. */
function errorOf(
  request: HandlerRequest,
  method: string | undefined,
  error: ConnectError,
): HandlerResponse {
  const status = httpStatusFromCode(error.code);
  if (method === undefined) return withSecurity(refusal(request, error, status));
  const contentType = request.headerOf("content-type") ?? "";
  const path = `/${Operations.typeName}/${method}`;
  return withSecurity(errorResponse({ method: request.method, path, contentType }, error, status));
}

function typeFilesOf(
  files: TypeFiles,
  handlers: ConnectRouter["handlers"] | undefined,
  typeName: string,
  request: HandlerRequest,
): Promise<Uint8Array<ArrayBuffer>> {
  const headers = new Headers();
  for (const name of credentials) {
    const value = request.headerOf(name);
    if (value !== null) headers.set(name, value);
  }
  const transport =
    handlers && withHeaders(createRouterTransport(handlers, request.contextValues), headers);
  return files.find(typeName, transport, request.signal);
}

/**
 * Redirects to the path with a slash, to which the page's files are relative. The location is
 * relative, because a proxy may serve the console below another path.
 */
function redirectToFolder({ url }: HandlerRequest, base: string): HandlerResponse {
  const { search } = new URL(url);
  const location = `${base.slice(base.lastIndexOf("/") + 1)}/${search}`;
  return { status: 308, headers: { ...securityHeaders, location } };
}

function methodNotAllowed(allow: string): HandlerResponse {
  return { status: 405, headers: { ...securityHeaders, allow } };
}

function dataResponse(
  contentType: string,
  body: string | Uint8Array<ArrayBuffer>,
): HandlerResponse {
  return uncached({ status: 200, headers: { "content-type": contentType }, body });
}

function uncached(response: HandlerResponse): HandlerResponse {
  const headers = { ...securityHeaders, ...response.headers, "cache-control": "no-store" };
  return { ...response, headers };
}

function withSecurity(response: HandlerResponse): HandlerResponse {
  return { ...response, headers: { ...securityHeaders, ...response.headers } };
}
