/** Methods that must change nothing (RFC 9110, section 9.2.1). */
const safeMethods = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** Content types that a page may send without a preflight (Fetch standard, "CORS-safelisted"). */
const safelisted = /^(text\/plain|application\/x-www-form-urlencoded|multipart\/form-data)\b/i;

/**
 * Whether a page of another origin may have caused a request without a CORS preflight. Such a
 * request has an unsafe method, an `Origin` that is not the server's own, and a content type that a
 * form can have, or none.
 *
 * @param url The URL of the request, with the host that the client asked for.
 */
export function isCrossSite(
  method: string | undefined,
  url: string,
  headerOf: (name: string) => string | null | undefined,
): boolean {
  const origin = headerOf("origin") ?? undefined;
  if (origin === undefined || safeMethods.has(method ?? "")) return false;
  const contentType = headerOf("content-type") ?? "";
  if (contentType !== "" && !safelisted.test(contentType.trim())) return false;
  return !URL.canParse(origin) || new URL(origin).host !== new URL(url).host;
}
