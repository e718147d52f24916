import { malformedUrl } from "./errors.js";
import { isWellEscaped, percentDecode } from "./percent-encoding.js";

/** A URL as received: nothing is decoded, and dots are ordinary segments. */
export interface UrlParts {
  /** `http://host:port`. */
  readonly origin: string;
  readonly path: string;
  /** The query without its question mark; empty if the URL has no query. */
  readonly query: string;
}

/** Splits an absolute http or https URL. Its fragment is left out. */
export function urlParts(url: string): UrlParts {
  const [, origin = "", path = "", query = ""] =
    /^([^:/]+:\/\/[^/?#]*)([^?#]*)(?:\?([^#]*))?/.exec(url) ?? [];
  return { origin, path: path === "" ? "/" : path, query };
}

/** A query parameter, decoded. */
export type QueryParameter = readonly [name: string, value: string];

/**
 * Returns the parameters of a query in their order, `+` read as a space.
 *
 * @throws ConnectError 400 for one that is not percent-encoded UTF-8.
 */
export function parseQuery(query: string): QueryParameter[] {
  const parameters: QueryParameter[] = [];
  if (query === "") return parameters;
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const [name, value] = equals < 0 ? [part, ""] : [part.slice(0, equals), part.slice(equals + 1)];
    parameters.push([decode(name), decode(value)]);
  }
  return parameters;
}

function decode(raw: string): string {
  const decoded = isWellEscaped(raw) ? percentDecode(raw.replaceAll("+", " ")) : undefined;
  if (decoded === undefined) throw malformedUrl(raw);
  return decoded;
}
