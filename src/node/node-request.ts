import type { ContextValues } from "@connectrpc/connect";
import { bytesOfText, utf8Length } from "../internal/text-bytes.js";
import type { HandlerRequest, HandlerResponse } from "../web/handler.js";

/** The parts of a Node request that describe it: from node:http or node:http2. */
export interface NodeHead {
  readonly method?: string | undefined;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/**
 * Calls a function when the client disconnects, or at once if the client has disconnected already.
 */
export type ClientLoss = (abort: (reason: unknown) => void) => void;

/** A Node request. Its `Headers` and its signal are created when they are first read. */
export class NodeRequest implements HandlerRequest {
  readonly #head: NodeHead;
  readonly #lossOf: ClientLoss;
  #controller: AbortController | undefined;

  constructor(
    head: NodeHead,
    readonly url: string,
    readonly path: string,
    readonly body: AsyncIterable<Uint8Array> | null,
    readonly contextValues: ContextValues | undefined,
    lossOf: ClientLoss,
  ) {
    this.#head = head;
    this.#lossOf = lossOf;
  }

  get method(): string {
    return this.#head.method ?? "";
  }

  get httpVersion(): string {
    return this.#head.httpVersion;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      this.#lossOf((reason) => controller.abort(reason));
    }
    return this.#controller.signal;
  }

  headerOf(name: string): string | null {
    const value = this.#head.headers[name];
    if (value === undefined) return null;
    return typeof value === "string" ? value : value.join(", ");
  }

  copyHeaders(): Headers {
    const { headers } = this.#head;
    const copy = new Headers();
    for (const name in headers) {
      const value = headers[name];
      if (value === undefined || name.startsWith(":")) continue;
      if (typeof value === "string") copy.set(name, value);
      else for (const one of value) copy.append(name, one);
    }
    return copy;
  }
}

/**
 * Adapts a response to Node: HTTP/2 has no `connection` header. Over HTTP/1.1, Node writes headers
 * in the encoding of a text body.
 */
export function nodeResponseOf(response: HandlerResponse, httpVersion: string): HandlerResponse {
  const { headers, body } = response;
  if (httpVersion.startsWith("1")) {
    const isText = typeof body === "string" && !Object.values(headers).flat().every(isAscii);
    return isText ? { ...response, body: bytesOfText(body) } : response;
  }
  if (headers.connection === undefined) return response;
  const { connection: _, ...others } = headers;
  return { ...response, headers: others };
}

function isAscii(text: string): boolean {
  return utf8Length(text) === text.length;
}
