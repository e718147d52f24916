import type { HandlerRequest } from "../web/handler.js";
import { unsupportedMediaType } from "./errors.js";
import { type BodyLimits, readBody } from "./request-body.js";

/** Longest query in a body, in bytes: a filter of 4,096 characters, each percent-encoded. */
const maxFormBytes = 64 * 1024;

/**
 * Whether a request is a GET in the form of a POST. Google's clients send `X-HTTP-Method-Override:
 * GET` and the query as a form once the URL has more than 2,048 characters.
 *
 * A page of another origin cannot profit: it needs leave for that header (CORS), and a GET changes
 * nothing.
 */
export function overridesGet(request: HandlerRequest): boolean {
  return (
    request.method === "POST" && request.headerOf("x-http-method-override")?.toUpperCase() === "GET"
  );
}

/**
 * Reads the query from the body of a POST with `X-HTTP-Method-Override: GET`.
 *
 * @throws ConnectError 415 for another type than a form, 413 above 64 KiB.
 */
export async function readQueryForm(
  request: HandlerRequest,
  { readMaxBytes, compressions }: BodyLimits,
): Promise<string> {
  const maxBytes = Math.min(readMaxBytes, maxFormBytes);
  const body = await readBody(request, { readMaxBytes: maxBytes, compressions });
  if (body.length === 0) return "";
  const contentType = request.headerOf("content-type") ?? "";
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType)) {
    throw unsupportedMediaType(contentType, "application/x-www-form-urlencoded");
  }
  return new TextDecoder().decode(body);
}

/**
 * Returns the GET that a POST with `X-HTTP-Method-Override: GET` stands for. Its query is read
 * separately.
 */
export function asGet(request: HandlerRequest): HandlerRequest {
  const { httpVersion, url, path, contextValues } = request;
  return {
    httpVersion,
    method: "GET",
    url,
    path,
    body: null,
    contextValues,
    // The signal is created only when it is read, because creating it has a cost.
    get signal() {
      return request.signal;
    },
    headerOf: (name) => (ofBody.includes(name) ? null : request.headerOf(name)),
    copyHeaders: () => {
      const headers = request.copyHeaders();
      for (const name of ofBody) headers.delete(name);
      return headers;
    },
  };
}

const ofBody = ["content-encoding", "content-length", "content-type", "x-http-method-override"];
