import type { Message } from "@bufbuild/protobuf";
import type { HandlerRequest } from "../web/handler.js";
import type { HeaderLine } from "./system-parameters.js";

/** A call that a REST request makes, except its message. */
export interface MethodCall {
  readonly request: HandlerRequest;
  /** `http://host:port` of the request. */
  readonly origin: string;
  /** The headers that pass system parameters to interceptors. */
  readonly systemHeaders: readonly HeaderLine[];
  /** In whole milliseconds; undefined for as long as the handler permits. */
  readonly timeoutMs: number | undefined;
}

/** The response of an RPC. */
export interface CallAnswer {
  /** The message in binary. */
  readonly bytes: Uint8Array;
  /** Returns the message, decoded if the handler did not return one. */
  message(): Message;
  /** The headers that the handler set; undefined if it set no header. */
  readonly header: Headers | undefined;
}

/** Returns the headers of a call: those of its request, without the ones of body and connection. */
export function callHeadersOf({ request, systemHeaders, timeoutMs }: MethodCall): Headers {
  const header = request.copyHeaders();
  for (const [name, value] of systemHeaders) header.set(name, value);
  deleteHopHeaders(header);
  header.set("Content-Type", "application/proto");
  header.set("Connect-Protocol-Version", "1");
  if (timeoutMs !== undefined) header.set("Connect-Timeout-Ms", String(timeoutMs));
  return header;
}

/**
 * Returns the URL of a call. If the origin of the call is not a URL, `http://localhost` replaces
 * it.
 */
export function callUrlOf({ origin }: MethodCall, requestPath: string): string {
  return `${URL.canParse(origin) ? origin : "http://localhost"}${requestPath}`;
}

/**
 * Deletes the headers that describe a body or a connection: the HTTP request and the call each
 * have their own.
 */
export function deleteHopHeaders(header: Headers): void {
  for (const name of ofThisHop) header.delete(name);
}

const ofThisHop = [
  "Accept-Encoding",
  "Connect-Accept-Encoding",
  "Connect-Protocol-Version",
  "Connect-Timeout-Ms",
  "Connection",
  "Content-Encoding",
  "Content-Length",
  "Content-Type",
  "Transfer-Encoding",
];
