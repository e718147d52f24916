import type { ContextValues } from "@connectrpc/connect";
import { streamChunks } from "../internal/stream-chunks.js";
import type { HandlerRequest, HandlerResponse } from "./handler.js";
import { headersOfRecord } from "./header-record.js";
import { readableFrom } from "./readable-from.js";

/** A web request in the form that handlers expect. */
export class WebRequest implements HandlerRequest {
  /** The web's Request does not say. */
  readonly httpVersion = "";
  readonly path: string;
  readonly body: AsyncIterable<Uint8Array> | null;
  readonly #request: Request;

  constructor(
    request: Request,
    readonly contextValues: ContextValues | undefined,
  ) {
    this.#request = request;
    this.path = new URL(request.url).pathname;
    this.body = request.body === null ? null : streamChunks(request.body);
  }

  get method(): string {
    return this.#request.method;
  }

  get url(): string {
    return this.#request.url;
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }

  headerOf(name: string): string | null {
    return this.#request.headers.get(name);
  }

  copyHeaders(): Headers {
    return new Headers(this.#request.headers);
  }
}

/** Statuses that a Response may have no body with (Fetch standard, "null body status"). */
const bodilessStatuses = new Set([101, 103, 204, 205, 304]);

/** Returns a web Response. It leaves trailers out, because a Response cannot carry them. */
export function responseOf(
  { method }: HandlerRequest,
  { status, headers, body }: HandlerResponse,
): Response {
  const isBodiless = method === "HEAD" || bodilessStatuses.has(status);
  return new Response(isBodiless || body === undefined ? null : webBody(body), {
    status,
    headers: headersOfRecord(headers),
  });
}

function webBody(body: NonNullable<HandlerResponse["body"]>): BodyInit {
  if (typeof body === "string" || body instanceof Uint8Array) return body;
  return readableFrom(body);
}
