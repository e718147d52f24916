import { Code, ConnectError, type ContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import type { RestHandler } from "./create-rest-handler.js";

/** What of a request of node:http or node:http2 is needed; both have it. */
export interface NodeRequest extends AsyncIterable<Uint8Array> {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Of HTTP/2: `:authority`. */
  readonly authority?: string | undefined;
  /** `encrypted` is there with TLS only; the other is for the compiler to know a socket by. */
  readonly socket: {
    readonly encrypted?: boolean | undefined;
    readonly remoteAddress?: string | undefined;
  };
}

/** What of a response of node:http or node:http2 is needed; both have it. */
export interface NodeResponse {
  readonly headersSent: boolean;
  readonly writableFinished: boolean;
  readonly destroyed?: boolean | undefined;
  writeHead(status: number, headers: Record<string, string | string[]>): unknown;
  end(body: Uint8Array): unknown;
  once(event: "close", listener: () => void): unknown;
}

/** What of `RestHandler` a listener uses. */
export type NodeListener = (request: NodeRequest, response: NodeResponse) => void;

export interface NodeListenerOptions {
  /** Context values for the calls of a request. Default: none. */
  contextValues?: ((request: NodeRequest) => ContextValues) | undefined;
}

/**
 * A request listener of node:http and node:http2 for a REST face. It takes paths as they came,
 * where the web's Request resolves dots in them. A client that goes away aborts the call's
 * signal with `Code.Canceled`.
 *
 * Bounds on headers, on the time that a body takes and on connections are the server's own:
 * `requestTimeout`, `headersTimeout`, `maxHeaderSize`.
 */
export function createNodeListener(
  rest: Pick<RestHandler, "answer">,
  { contextValues }: NodeListenerOptions = {},
): NodeListener {
  return (request, response) => {
    const controller = new AbortController();
    response.once("close", () => {
      if (response.writableFinished) return;
      controller.abort(new ConnectError("the client went away", Code.Canceled));
    });
    respond(rest, request, response, controller.signal, contextValues).catch(() => {
      // `contextValues` threw, or the client went away, which is then nobody to tell.
      if (!response.headersSent) response.writeHead(500, {});
      response.end(nothing);
    });
  };
}

const nothing = new Uint8Array();

async function respond(
  rest: Pick<RestHandler, "answer">,
  request: NodeRequest,
  response: NodeResponse,
  signal: AbortSignal,
  contextValues: NodeListenerOptions["contextValues"],
): Promise<void> {
  const answer = await rest.answer(universalOf(request, signal, contextValues?.(request)));
  const header: Record<string, string | string[]> = {};
  for (const [name, value] of answer.header) {
    // Of HTTP/1 alone: HTTP/2 has no such header.
    if (name === "connection" && request.httpVersion.startsWith("2")) continue;
    const before = header[name];
    header[name] = before === undefined ? value : [before, value].flat();
  }
  if (response.destroyed === true) return;
  response.writeHead(answer.status, header);
  response.end(answer.body ?? nothing);
}

function universalOf(
  request: NodeRequest,
  signal: AbortSignal,
  contextValues: ContextValues | undefined,
): UniversalServerRequest {
  const { headers, socket, url = "/" } = request;
  const header = new Headers();
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name.startsWith(":")) continue;
    if (typeof value === "string") header.set(name, value);
    else for (const one of value) header.append(name, one);
  }
  const scheme = socket.encrypted === true ? "https" : "http";
  const authority = request.authority || header.get("Host") || "";
  return {
    httpVersion: request.httpVersion,
    method: request.method ?? "",
    // A proxy's request has the whole URL there.
    url: url.startsWith("/") ? `${scheme}://${hostOf(authority)}${url}` : absolute(url),
    header,
    body: hasBody(request) ? request : null,
    signal,
    contextValues,
  };
}

/** What could end a host, and so begin another path than the one that was asked for, is none. */
function hostOf(authority: string): string {
  return /^[^/?#\\\s]+$/.test(authority) ? authority : "localhost";
}

function absolute(url: string): string {
  return /^https?:\/\//.test(url) ? url : `http://localhost/${url}`;
}

/** HTTP/1 says in its headers whether there is a body; HTTP/2 need not. */
function hasBody({ headers, httpVersion }: NodeRequest): boolean {
  if (headers["transfer-encoding"] !== undefined) return true;
  const length = headers["content-length"];
  return length === undefined ? !httpVersion.startsWith("1") : length !== "0";
}
