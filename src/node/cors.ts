import { cors } from "@connectrpc/connect";
import { inRange } from "../internal/option-bounds.js";
import { answer, type Exchange } from "./exchange.js";

/** Which web pages of other origins may call. Every field but `origins` may be left out. */
export interface CorsOptions {
  /** The origins, as "https://example.com"; or "*" for all of them. */
  origins: readonly string[] | "*";
  /**
   * Request headers that pages may send, besides those of the protocols and our client's
   * `x-goog-request-params`. Default: `authorization`.
   */
  allowedHeaders?: readonly string[] | undefined;
  /** Response headers that pages may read, besides those of the protocols. Default: none. */
  exposedHeaders?: readonly string[] | undefined;
  /** Whether pages may send cookies; not with "*". Default: false. */
  credentials?: boolean | undefined;
  /** How long a browser may remember the answer, in seconds, at least 0. Default: 7200. */
  maxAgeS?: number | undefined;
}

/**
 * Grant by CORS what the options say: sets the headers of the answer, and answers a preflight
 * itself, which is what `true` says. The RPC protocols' headers are Connect's own lists.
 *
 * @throws RangeError for an option out of its bounds; TypeError for credentials with "*",
 *   which browsers refuse (Fetch standard, "CORS check").
 */
export function createCors(options: CorsOptions): (exchange: Exchange) => boolean {
  const { origins, credentials = false } = options;
  if (origins === "*" && credentials) {
    throw new TypeError('cors.credentials must be false where cors.origins is "*"');
  }
  const maxAge = String(inRange("cors.maxAgeS", options.maxAgeS ?? 7200, 0));
  const requestHeaders = options.allowedHeaders ?? ["authorization"];
  const allowedHeaders = [...cors.allowedHeaders, "X-Goog-Request-Params", ...requestHeaders];
  const exposedHeaders = [...cors.exposedHeaders, ...(options.exposedHeaders ?? [])].join(", ");
  const allowedMethods = [...cors.allowedMethods, "PUT", "PATCH", "DELETE"].join(", ");

  return (exchange) => {
    const { request, response } = exchange;
    const { origin } = request.headers;
    if (origins !== "*") response.setHeader("vary", "origin");
    if (origin === undefined || (origins !== "*" && !origins.includes(origin))) return false;
    response.setHeader("access-control-allow-origin", origins === "*" ? "*" : origin);
    if (credentials) response.setHeader("access-control-allow-credentials", "true");
    const isPreflight = request.headers["access-control-request-method"] !== undefined;
    if (request.method !== "OPTIONS" || !isPreflight) {
      response.setHeader("access-control-expose-headers", exposedHeaders);
      return false;
    }
    answer(exchange, 204, {
      "access-control-allow-methods": allowedMethods,
      "access-control-allow-headers": allowedHeaders.join(", "),
      "access-control-max-age": maxAge,
    });
    return true;
  };
}
