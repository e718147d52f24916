import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";

/** Headers as Node has received them: its object, or names and values in turn. */
export type ReceivedHeaders = IncomingHttpHeaders | readonly string[];

/**
 * Returns headers in the form that takes the least memory. This is the raw form if no name occurs
 * twice, because then Node merged and dropped none.
 */
export function compactHeaders(
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[] | undefined,
): ReceivedHeaders {
  return rawHeaders?.length === 2 * Object.keys(headers).length ? rawHeaders : headers;
}

/** Converts Node's headers to `Headers`, without HTTP/2's pseudo-headers. */
export function webHeaders(received: ReceivedHeaders): Headers {
  const headers = new Headers();
  const entries = isRaw(received) ? inPairs(received) : Object.entries(received);
  for (const [name, value] of entries) {
    if (name.startsWith(":") || value === undefined) continue;
    if (typeof value === "string") headers.append(name, value);
    else for (const one of value) headers.append(name, one);
  }
  return headers;
}

function isRaw(headers: ReceivedHeaders): headers is readonly string[] {
  return Array.isArray(headers);
}

function* inPairs(raw: readonly string[]): Generator<readonly [name: string, value: string]> {
  for (let at = 0; at < raw.length; at += 2) yield [raw[at] ?? "", raw[at + 1] ?? ""];
}

/**
 * Adds the web's headers to Node's headers. A name that occurs several times keeps all of its
 * values.
 */
export function addToNodeHeaders(target: OutgoingHttpHeaders, headers: Headers): void {
  headers.forEach((value, name) => {
    const before = target[name];
    if (before === undefined) target[name] = value;
    else target[name] = Array.isArray(before) ? [...before, value] : [String(before), value];
  });
}

/** Headers that Node refuses to send, because HTTP/2 forbids them (RFC 9113, section 8.2.2). */
const connectionHeaders = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** Returns the headers that an answer over HTTP/2 may have. */
export function answerHeaders(headers: Headers): OutgoingHttpHeaders {
  const target: OutgoingHttpHeaders = {};
  addToNodeHeaders(target, headers);
  for (const name of Object.keys(target)) if (connectionHeaders.has(name)) delete target[name];
  return target;
}
