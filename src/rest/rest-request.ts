import type { ContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";

/** A request as the REST face takes it. What costs something to make is made when it is asked for. */
export interface RestRequest {
  readonly httpVersion: string;
  readonly method: string;
  /** Absolute; its path may be as raw as it came, which the web's Request does not let be. */
  readonly url: string;
  /** Null where it is known that there is none. */
  readonly body: UniversalServerRequest["body"];
  readonly contextValues: ContextValues | undefined;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** A header by its name, which is in lower case; null where there is none. */
  headerOf(name: string): string | null;
  /** All headers, in an object of their own, which may be changed. */
  copyHeaders(): Headers;
}

/** An answer, ready to be sent. */
export interface RestAnswer {
  readonly status: number;
  /** By names in lower case; of `set-cookie` there may be several. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Text is UTF-8. Empty for HEAD; undefined where the status has none. */
  readonly body: string | Uint8Array<ArrayBuffer> | undefined;
}

/** A request in Connect's own form. */
export function restRequestOf(request: UniversalServerRequest): RestRequest {
  const { httpVersion, method, url, header, body, contextValues, signal } = request;
  return {
    httpVersion,
    method,
    url,
    body,
    contextValues,
    signal,
    headerOf: (name) => header.get(name),
    copyHeaders: () => new Headers(header),
  };
}
