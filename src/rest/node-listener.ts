import { Code, ConnectError, type ContextValues } from "@connectrpc/connect";
import { type AnsweredStream, resetOnceAnswered } from "../internal/reset-once-answered.js";
import type { RestHandler } from "./create-rest-handler.js";
import { type NodeHead, NodeRestRequest, nodeAnswerOf } from "./node-request.js";

/** What of a request of node:http or node:http2 is needed; both have it. */
export interface NodeRequest extends NodeHead, AsyncIterable<Uint8Array> {
  readonly url?: string | undefined;
  /** Whether all of it has come. */
  readonly complete: boolean;
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
  writeHead(status: number, headers: Readonly<Record<string, string | string[]>>): unknown;
  end(body: string | Uint8Array): unknown;
  once(event: "close", listener: () => void): unknown;
  /** Of HTTP/2. */
  readonly stream?: AnsweredStream | undefined;
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
  rest: Pick<RestHandler, "respond">,
  { contextValues }: NodeListenerOptions = {},
): NodeListener {
  return (request, response) => {
    respond(rest, request, response, contextValues).catch(() => {
      // `contextValues` threw, or the client went away, which is then nobody to tell.
      if (!response.headersSent) response.writeHead(500, {});
      response.end("");
    });
  };
}

async function respond(
  rest: Pick<RestHandler, "respond">,
  request: NodeRequest,
  response: NodeResponse,
  contextValues: NodeListenerOptions["contextValues"],
): Promise<void> {
  const body = hasBody(request) ? request : null;
  const asked = new NodeRestRequest(request, urlOf(request), body, contextValues?.(request));
  response.once("close", () => {
    if (response.writableFinished) return;
    asked.abort(() => new ConnectError("the client went away", Code.Canceled));
  });
  const answer = nodeAnswerOf(await rest.respond(asked), request.httpVersion);
  if (response.destroyed === true) return;
  // Over HTTP/1 the answer itself says that the connection is to be closed.
  if (body !== null && response.stream !== undefined) resetOnceAnswered(request, response.stream);
  response.writeHead(answer.status, answer.headers);
  response.end(answer.body ?? "");
}

function urlOf({ url = "/", socket, authority, headers }: NodeRequest): string {
  // A proxy's request has the whole URL there.
  if (!url.startsWith("/")) return /^https?:\/\//i.test(url) ? url : `http://localhost/${url}`;
  const scheme = socket.encrypted === true ? "https" : "http";
  return `${scheme}://${hostOf(authority || String(headers.host ?? ""))}${url}`;
}

/** What could end a host, and so begin another path than the one that was asked for, is none. */
function hostOf(authority: string): string {
  return /^[^/?#\\\s]+$/.test(authority) ? authority : "localhost";
}

/** HTTP/1 says in its headers whether there is a body; HTTP/2 need not. */
function hasBody({ headers, httpVersion }: NodeRequest): boolean {
  if (headers["transfer-encoding"] !== undefined) return true;
  const length = headers["content-length"];
  return length === undefined ? !httpVersion.startsWith("1") : length !== "0";
}
