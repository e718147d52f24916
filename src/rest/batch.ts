/**
 * Google's batch format: several HTTP requests in one, as the parts of a multipart/mixed body
 * (RFC 2046), each of type application/http. The response has a part for each, in their order.
 */
import { concatBytes } from "../internal/concat-bytes.js";
import { bytesOfText } from "../internal/text-bytes.js";
import type { HandlerRequest, HandlerResponse } from "../web/handler.js";
import { malformedBatch } from "./errors.js";

/** The path of batches. */
export const batchPath = "/batch";

/** Most parts of a batch, as at Google. */
const maxParts = 100;

/**
 * Most bytes of the responses in one response. A request that comes after them is refused with
 * RESOURCE_EXHAUSTED.
 */
export const maxBatchResponseBytes = 32 * 1024 * 1024;

/** A request within a batch. */
export interface BatchPart {
  /** The id in its angle brackets; undefined if the part has no id. */
  readonly contentId: string | undefined;
  /** The request; undefined if the part is not an HTTP request. */
  readonly request: HandlerRequest | undefined;
}

/**
 * Parses the body of a batch.
 *
 * @param outer The request with that body, whose headers the parts inherit.
 * @param origin `http://host:port` of it.
 * @throws ConnectError 400 if it is not multipart/mixed, or has no part, or more than 100.
 */
export function parseBatch(outer: HandlerRequest, origin: string, body: Uint8Array): BatchPart[] {
  const contentType = outer.headerOf("content-type") ?? "";
  const [, quoted, plain] =
    /^multipart\/mixed\s*;(?:.*;)?\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i.exec(
      contentType,
    ) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) throw malformedBatch("must be multipart/mixed with a boundary");
  const parts = splitParts(latin1Of(body), boundary);
  if (parts.length === 0) throw malformedBatch("must have a part, and an end");
  if (parts.length > maxParts) throw malformedBatch(`must have at most ${maxParts} parts`);
  const headers = outer.copyHeaders();
  for (const name of ofOuterBody) headers.delete(name);
  return parts.map((part) => {
    const { head, rest } = splitHead(part);
    const fields = fieldsOf(head);
    const contentId = fields?.find(([name]) => name === "content-id")?.[1];
    const type = fields?.find(([name]) => name === "content-type")?.[1] ?? "";
    const isHttp = /^application\/http\s*(;|$)/i.test(type);
    return {
      contentId: contentId && /^<[\x20-\x7e]{1,256}>$/.test(contentId) ? contentId : undefined,
      request: isHttp ? requestOf(rest, outer, headers, origin) : undefined,
    };
  });
}

/** Writes the response of a batch. */
export function batchResponse(
  responses: readonly { contentId: string | undefined; response: HandlerResponse }[],
): { contentType: string; content: Uint8Array<ArrayBuffer> } {
  const boundary = `batch_${crypto.randomUUID()}`;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (const { contentId, response } of responses) {
    const { status, headers, body } = response;
    const lines = [`--${boundary}`, "Content-Type: application/http"];
    if (contentId !== undefined) lines.push(`Content-ID: <response-${contentId.slice(1)}`);
    lines.push("", `HTTP/1.1 ${status} ${reasons[status] ?? "Other"}`);
    for (const [name, values] of Object.entries(headers)) {
      for (const value of [values].flat()) lines.push(`${name}: ${value}`);
    }
    chunks.push(bytesOfText(`${lines.join("\r\n")}\r\n\r\n`), bytesOf(body), bytesOfText("\r\n"));
  }
  chunks.push(bytesOfText(`--${boundary}--\r\n`));
  return { contentType: `multipart/mixed; boundary=${boundary}`, content: concatBytes(chunks) };
}

/** The reasons of RFC 9110, which Python's client wants to be there. */
const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  429: "Too Many Requests",
  499: "Client Closed Request",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Returns the length of a response's body, in bytes. */
export function bodyLength({ body }: HandlerResponse): number {
  return bytesOf(body).length;
}

/** The gateway's own responses are texts and bytes. */
function bytesOf(body: HandlerResponse["body"]): Uint8Array<ArrayBuffer> {
  if (typeof body === "string") return bytesOfText(body);
  return body instanceof Uint8Array ? body : new Uint8Array();
}

/** One character per byte, so that places in the text are places in the bytes. */
function latin1Of(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return text;
}

function bytesOfLatin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The parts between the delimiters; none if the closing one is missing. */
function splitParts(text: string, boundary: string): string[] {
  const delimiter = `\n--${boundary}`;
  // The first delimiter may be at the beginning of the text.
  const whole = `\n${text}`;
  const parts: string[] = [];
  let start: number | undefined;
  for (let at = whole.indexOf(delimiter); at >= 0; at = whole.indexOf(delimiter, at + 1)) {
    if (start !== undefined) parts.push(whole.slice(start, at).replace(/\r$/, ""));
    // One part more than the limit is enough to refuse the batch.
    if (parts.length > maxParts) return parts;
    const after = at + delimiter.length;
    if (whole.startsWith("--", after)) return parts;
    const lineEnd = whole.indexOf("\n", after);
    if (lineEnd < 0) return [];
    start = lineEnd + 1;
  }
  return [];
}

/** A text at its first empty line. */
function splitHead(text: string): { head: string; rest: string } {
  const found = /^\r?\n|\r?\n\r?\n/.exec(text);
  if (found === null) return { head: text, rest: "" };
  return { head: text.slice(0, found.index), rest: text.slice(found.index + found[0].length) };
}

/** Header fields by names in lower case; undefined if a line is not one. */
function fieldsOf(head: string): [name: string, value: string][] | undefined {
  const fields: [string, string][] = [];
  for (const line of head.split(/\r?\n/)) {
    if (line === "") continue;
    const [, name, value = ""] =
      /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || /[^\t\x20-\x7e\x80-\xff]/.test(value)) return undefined;
    fields.push([name.toLowerCase(), value]);
  }
  return fields;
}

function requestOf(
  text: string,
  outer: HandlerRequest,
  inherited: Headers,
  origin: string,
): HandlerRequest | undefined {
  const { head, rest } = splitHead(text);
  const [line = "", ...lines] = head.split(/\r?\n/);
  const [, method, target] =
    /^([A-Z]{1,32}) (\/[\x21-\x7e]*) HTTP\/[\d.]{1,3}\s*$/.exec(line) ?? [];
  const fields = fieldsOf(lines.join("\n"));
  if (method === undefined || target === undefined || fields === undefined) return undefined;
  const headers = new Headers(inherited);
  for (const [name, value] of fields) if (!isOfConnection(name)) headers.set(name, value);
  // If a part has no Content-Length, the line end before the next delimiter does not belong to its
  // body.
  const length = /^\d{1,9}$/.exec(headers.get("content-length") ?? "")?.[0];
  const content = length === undefined ? rest.trim() : rest.slice(0, Number(length));
  return {
    httpVersion: outer.httpVersion,
    method,
    url: origin + target,
    path: target.replace(/[?#].*$/s, ""),
    body: content === "" ? null : once(bytesOfLatin1(content)),
    contextValues: outer.contextValues,
    get signal() {
      return outer.signal;
    },
    headerOf: (name) => headers.get(name),
    copyHeaders: () => new Headers(headers),
  };
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

/**
 * Headers that a browser does not let a page set, and headers of the connection: a part has those
 * of the whole request, so that checks of the origin hold for it.
 */
function isOfConnection(name: string): boolean {
  return /^(sec-|proxy-|x-forwarded-)/.test(name) || ofConnection.has(name);
}

const ofConnection: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "cookie",
  "expect",
  "forwarded",
  "host",
  "keep-alive",
  "origin",
  "referer",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
]);

/** Headers of the whole request that no part inherits. */
const ofOuterBody = [
  "accept-encoding",
  "content-encoding",
  "content-length",
  "content-type",
  "transfer-encoding",
  "x-http-method-override",
];
