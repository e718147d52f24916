import type { ContextValues } from "@connectrpc/connect";
import type { Health } from "../health/create-health.js";
import { type CorsOptions, createCors } from "./cors.js";
import { isCrossSite } from "./cross-site.js";
import { failureResponse, printFailure, refusal } from "./error-response.js";
import { crossSite, noTrailers, notServed } from "./errors.js";
import { gzip } from "./gzip.js";
import {
  firstResponse,
  type Handler,
  type HandlerFailure,
  type HandlerRequest,
} from "./handler.js";
import { createRoutes, type RouteOptions } from "./routes.js";
import { respondByRpc } from "./rpc-response.js";
import { responseOf, WebRequest } from "./web-request.js";

/** Options of `createWebHandler`. Default compression: gzip, by web streams. */
export interface WebHandlerOptions extends RouteOptions {
  /** Aborts the calls under way when the program is about to end. Default: none. */
  shutdownSignal?: AbortSignal | undefined;
  /** Pages of these origins may call. Default: pages of other origins may not. */
  cors?: CorsOptions | undefined;
  /**
   * Called for each request, with the further arguments of `fetch`, for the values in the contexts
   * of its calls. Default: none.
   */
  contextValues?: ((request: Request, ...platform: unknown[]) => ContextValues) | undefined;
  /**
   * Called for a path that neither the routes nor the handlers serve. Default: 404, or
   * UNIMPLEMENTED in gRPC-Web.
   */
  fallback?: ((request: Request) => Response | Promise<Response>) | undefined;
  /** Called when a handler has failed. Default: prints the event by `console.error`. */
  log?: ((event: HandlerFailure) => void) | undefined;
}

/** A server in the form that web platforms expect. */
export interface WebHandler {
  /**
   * Answers a request of the web in Connect, gRPC-Web or by a handler; it never rejects. Its further
   * arguments, such as the environment of a Worker, go to `contextValues`.
   */
  fetch(request: Request, ...platform: unknown[]): Promise<Response>;
  /** All routes and handlers as one handler, for `createNodeListener`, which also serves gRPC. */
  readonly handler: Handler;
  /** Says which services take calls; undefined if the options say `false`. */
  readonly health: Health | undefined;
}

/**
 * Makes a server for every platform with `Request` and `Response`: Next, Hono, Bun, Deno, Workers,
 * Lambda adapters. It serves the same protocols as `createServer`, except gRPC, whose trailers a
 * `Response` cannot have.
 *
 * @throws RangeError if an option is out of its bounds.
 * @example
 * const web = createWebHandler({
 *   routes: (router) => router.service(Operations, operations.service),
 *   handlers: (router) => [createRestHandler(router)],
 * });
 * // Bun, Deno, Workers: export default web;
 * // Next: export const { fetch: GET, fetch: POST } = web;
 */
export function createWebHandler(options: WebHandlerOptions): WebHandler {
  const acceptCompression = options.acceptCompression ?? [gzip];
  const routes = createRoutes({ ...options, acceptCompression }, options.shutdownSignal);
  const cors = options.cors && createCors(options.cors);
  const log = options.log ?? printFailure;
  const rpcs = new Map(routes.rpcs.map((rpc) => [rpc.requestPath, routes.answering(rpc)]));
  const ofRpcs: Handler = (request) => {
    const rpc = rpcs.get(request.path);
    return rpc && respondByRpc(rpc, request);
  };
  const all = [ofRpcs, ...routes.handlers];

  const answer = async (
    request: Request,
    isGranted: boolean,
    platform: unknown[],
  ): Promise<Response> => {
    const asked = new WebRequest(request, options.contextValues?.(request, ...platform));
    const { method, url } = request;
    if (!isGranted && isCrossSite(method, url, (name) => asked.headerOf(name))) {
      const error = crossSite(asked.headerOf("origin") ?? "");
      return responseOf(asked, refusal(asked, error, 403));
    }
    if (isGrpc(asked)) return responseOf(asked, refusal(asked, noTrailers(), 501));
    const response = await firstResponse(all, asked);
    if (response !== undefined) return responseOf(asked, response);
    if (options.fallback !== undefined) return options.fallback(request);
    return responseOf(asked, refusal(asked, notServed(asked.path), 404));
  };

  return {
    health: routes.health,
    handler: (request) => firstResponse(all, request),
    async fetch(request, ...platform) {
      const granted = cors?.(request.method, (name) => request.headers.get(name));
      if (granted?.isPreflight)
        return new Response(null, { status: 204, headers: granted.headers });
      let response: Response;
      try {
        response = await answer(request, granted?.isGranted === true, platform);
      } catch (cause) {
        const asked = new WebRequest(request, undefined);
        response = responseOf(asked, failureResponse(asked, cause, log));
      }
      return granted === undefined ? response : withHeaders(response, granted.headers);
    },
  };
}

function isGrpc(request: HandlerRequest): boolean {
  return /^application\/grpc($|[+;])/i.test(request.headerOf("content-type") ?? "");
}

function withHeaders(response: Response, added: Readonly<Record<string, string>>): Response {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(added)) {
    if (name === "vary") headers.append(name, value);
    else headers.set(name, value);
  }
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
