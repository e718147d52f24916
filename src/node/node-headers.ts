import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";

/** Headers of Node as the web has them, without HTTP/2's pseudo-headers. */
export function webHeaders(nodeHeaders: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(nodeHeaders)) {
    if (name.startsWith(":") || value === undefined) continue;
    if (typeof value === "string") headers.append(name, value);
    else for (const one of value) headers.append(name, one);
  }
  return headers;
}

/** Add the web's headers to those of Node, all values of a name that comes more than once. */
export function addToNodeHeaders(target: OutgoingHttpHeaders, headers: Headers): void {
  headers.forEach((value, name) => {
    const before = target[name];
    if (before === undefined) target[name] = value;
    else target[name] = Array.isArray(before) ? [...before, value] : [String(before), value];
  });
}

/** What Node refuses to send, as HTTP/2 has no such headers (RFC 9113, section 8.2.2). */
const connectionHeaders = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** The headers that an answer over HTTP/2 may have. */
export function answerHeaders(headers: Headers): OutgoingHttpHeaders {
  const target: OutgoingHttpHeaders = {};
  addToNodeHeaders(target, headers);
  for (const name of Object.keys(target)) if (connectionHeaders.has(name)) delete target[name];
  return target;
}
