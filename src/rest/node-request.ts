import type { ContextValues } from "@connectrpc/connect";
import type { RestAnswer, RestRequest } from "./rest-request.js";
import { bytesOfText, utf8Length } from "./text-bytes.js";

/** What of a request of node:http or node:http2 is needed to know what it says; both have it. */
export interface NodeHead {
  readonly method?: string | undefined;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/**
 * An answer as Node can send it: HTTP/2 has no `connection`, and over HTTP/1 Node writes headers in
 * the encoding of a body that is text.
 */
export function nodeAnswerOf(answer: RestAnswer, httpVersion: string): RestAnswer {
  const { headers, body } = answer;
  if (httpVersion.startsWith("1")) {
    const isText = typeof body === "string" && !Object.values(headers).flat().every(isAscii);
    return isText ? { ...answer, body: bytesOfText(body) } : answer;
  }
  if (headers.connection === undefined) return answer;
  const { connection: _, ...others } = headers;
  return { ...answer, headers: others };
}

function isAscii(text: string): boolean {
  return utf8Length(text) === text.length;
}

/** A request of Node's, whose `Headers` and signal are made only where somebody asks for them. */
export class NodeRestRequest implements RestRequest {
  readonly #head: NodeHead;
  #controller: AbortController | undefined;
  /** Set once the client is gone. */
  #reasonOf: (() => unknown) | undefined;

  constructor(
    head: NodeHead,
    readonly url: string,
    readonly body: AsyncIterable<Uint8Array> | null,
    readonly contextValues: ContextValues | undefined,
  ) {
    this.#head = head;
  }

  get method(): string {
    return this.#head.method ?? "";
  }

  get httpVersion(): string {
    return this.#head.httpVersion;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reasonOf !== undefined) this.#controller.abort(this.#reasonOf());
    }
    return this.#controller.signal;
  }

  /** Say that the client went away. The error is made only if somebody has the signal. */
  abort(reasonOf: () => unknown): void {
    this.#reasonOf = reasonOf;
    this.#controller?.abort(reasonOf());
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
