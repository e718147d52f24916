import { cors } from "@connectrpc/connect";

/**
 * The methods and headers that CORS must allow and expose for REST in browsers, in the form of
 * Connect's own `cors`, whose values it contains: one middleware serves both.
 */
export const restCors: {
  readonly allowedMethods: readonly string[];
  readonly allowedHeaders: readonly string[];
  readonly exposedHeaders: readonly string[];
} = {
  allowedMethods: union(cors.allowedMethods, ["HEAD", "PUT", "PATCH", "DELETE"]),
  allowedHeaders: union(cors.allowedHeaders, [
    "Authorization",
    "X-Server-Timeout",
    "X-Goog-Api-Client",
    "X-Goog-Api-Key",
    "X-Goog-FieldMask",
    "X-Goog-Request-Params",
    "X-Goog-User-Project",
  ]),
  exposedHeaders: union(cors.exposedHeaders, ["Allow", "Retry-After"]),
};

function union(some: readonly string[], more: readonly string[]): readonly string[] {
  return [...new Set([...some, ...more])];
}
