import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { guardedAnswer } from "./answer-guard.js";
import { type Exchange, stopReceivingAfterAnswer } from "./exchange.js";

/** An answer whose body may come in pieces. */
export interface PiecedAnswer extends Pick<UniversalServerResponse, "status" | "header"> {
  /** Undefined where it has none. */
  readonly body: AsyncIterable<Uint8Array> | undefined;
}

/** Send the answer of a handler that knows nothing of its connection. */
export async function sendAnswer(
  exchange: Exchange,
  { status, header: given, body: pieces }: PiecedAnswer,
  timeoutMs: number,
): Promise<void> {
  stopReceivingAfterAnswer(exchange);
  const body = pieces === undefined ? undefined : guardedAnswer(exchange, pieces, timeoutMs);
  const header = new Headers(given);
  // HTTP/2 has no such header.
  if (exchange.version === 2) header.delete("connection");
  // What CORS has set stays beside the handler's own: both say what the answer varies by.
  const vary = exchange.response.getHeader("vary");
  if (vary !== undefined && header.has("vary")) header.append("vary", String(vary));
  await universalResponseToNodeResponse({ status, header, body }, exchange.response);
}
