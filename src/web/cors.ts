import { cors } from "@connectrpc/connect";
import { inRange } from "../internal/option-bounds.js";

/** The web pages of other origins that may make calls. All fields except `origins` are optional. */
export interface CorsOptions {
  /** The origins, as "https://example.com"; or "*" for all of them. */
  origins: readonly string[] | "*";
  /**
   * Request headers that pages may send in addition to those of the protocols and our client's
   * `x-goog-request-params`. Default: `authorization`.
   */
  allowedHeaders?: readonly string[] | undefined;
  /** Response headers that pages may read in addition to those of the protocols. Default: none. */
  exposedHeaders?: readonly string[] | undefined;
  /** Whether pages may send cookies; not with "*". Default: false. */
  credentials?: boolean | undefined;
  /** How long a browser may remember the response, in seconds, at least 0. Default: 7200. */
  maxAgeS?: number | undefined;
}

/** The response headers that CORS adds to the response of one request. */
export interface CorsHeaders {
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the request has an origin that may call. */
  readonly isGranted: boolean;
  /** Whether the request is a preflight, to which these headers and 204 are the response. */
  readonly isPreflight: boolean;
}

/** Decides on a request by its method and its headers. */
export type Cors = (
  method: string | undefined,
  headerOf: (name: string) => string | null | undefined,
) => CorsHeaders;

/**
 * Grants CORS permissions according to the options. The headers of the RPC protocols come from
 * Connect's own lists.
 *
 * @throws RangeError if an option is out of its bounds. TypeError for credentials with "*", which
 * browsers refuse (Fetch standard, "CORS check").
 */
export function createCors(options: CorsOptions): Cors {
  const { origins, credentials = false } = options;
  if (origins === "*" && credentials) {
    throw new TypeError('cors.credentials must be false if cors.origins is "*"');
  }
  const maxAge = String(inRange("cors.maxAgeS", options.maxAgeS ?? 7200, 0));
  const requestHeaders = options.allowedHeaders ?? ["authorization"];
  const allowedHeaders = [...cors.allowedHeaders, "X-Goog-Request-Params", ...requestHeaders];
  const exposedHeaders = [...cors.exposedHeaders, ...(options.exposedHeaders ?? [])].join(", ");
  const allowedMethods = [...cors.allowedMethods, "PUT", "PATCH", "DELETE"].join(", ");
  const vary: Record<string, string> = origins === "*" ? {} : { vary: "origin" };

  return (method, headerOf) => {
    const origin = headerOf("origin") ?? undefined;
    if (origin === undefined || (origins !== "*" && !origins.includes(origin))) {
      return { headers: vary, isGranted: false, isPreflight: false };
    }
    const granted = {
      ...vary,
      "access-control-allow-origin": origins === "*" ? "*" : origin,
      ...(credentials && { "access-control-allow-credentials": "true" }),
    };
    const isPreflight =
      method === "OPTIONS" &&
      (headerOf("access-control-request-method") ?? undefined) !== undefined;
    if (!isPreflight) {
      const headers = { ...granted, "access-control-expose-headers": exposedHeaders };
      return { headers, isGranted: true, isPreflight };
    }
    const headers = {
      ...granted,
      "access-control-allow-methods": allowedMethods,
      "access-control-allow-headers": allowedHeaders.join(", "),
      "access-control-max-age": maxAge,
    };
    return { headers, isGranted: true, isPreflight };
  };
}
