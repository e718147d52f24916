import { fromBinary, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  readAllBytes,
  type UniversalHandler,
  type UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import { errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";

import { oneChunk } from "./one-chunk.js";
import { urlParts } from "./url-parts.js";

/** What an RPC answered: its message, and the headers that its handler set. */
export interface CallAnswer {
  readonly message: Message;
  readonly header: Headers;
}

/**
 * Call an RPC of a Connect router in this process, by the very handler that serves its other
 * protocols: interceptors, limits, the deadline, the signal and context values are its own. It is
 * spoken to in Connect's unary protocol, in binary.
 *
 * @param request In binary.
 * @param header Is changed.
 * @param timeoutMs In whole milliseconds. Default: as long as the handler permits.
 * @throws ConnectError of the call, with the headers of its answer as metadata.
 */
export async function callUniversal(
  handler: UniversalHandler,
  request: Uint8Array,
  header: Headers,
  timeoutMs: number | undefined,
  { url, httpVersion, signal, contextValues }: Omit<UniversalServerRequest, "body" | "header">,
): Promise<CallAnswer> {
  for (const name of ofThisHop) header.delete(name);
  header.set("Content-Type", "application/proto");
  header.set("Connect-Protocol-Version", "1");
  if (timeoutMs !== undefined) header.set("Connect-Timeout-Ms", String(timeoutMs));
  const answer = await handler({
    httpVersion,
    method: "POST",
    url: `${originOf(url)}${handler.requestPath}`,
    header,
    body: oneChunk(request),
    signal,
    contextValues,
  });
  const answerHeader = answer.header ?? new Headers();
  const bytes = await readAllBytes(
    answer.body ?? oneChunk(nothing),
    Number.POSITIVE_INFINITY,
    answerHeader.get("Content-Length"),
  );
  for (const name of ofThisHop) answerHeader.delete(name);
  if (answer.status === 200)
    return { message: fromBinary(handler.method.output, bytes), header: answerHeader };
  const fallback = new ConnectError(`the handler answered ${answer.status}`, Code.Internal);
  throw errorFromJsonBytes(bytes, answerHeader, fallback);
}

const nothing = new Uint8Array();

/**
 * Headers that say something of a body or of a connection. The ones of the HTTP request are not
 * those of the call, nor the other way round.
 */
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

/** `http://host` of a URL. A host that no URL can have is not worth failing for. */
function originOf(url: string): string {
  const { origin } = urlParts(url);
  return URL.canParse(origin) ? origin : "http://localhost";
}
