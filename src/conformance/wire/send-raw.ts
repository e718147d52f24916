import type { Sent, WireCall } from "./answer.js";
import type { RawExchange, RawResponse } from "./raw-exchange.js";

/** The parts of a call that its HTTP request takes as they are. */
export type RawCall = Pick<WireCall, "headers" | "deadlineMs" | "signal" | "isolated">;

/** The parts of an HTTP request that the protocol decides. */
export interface RawParts {
  readonly method: string;
  readonly url: string;
  /** Headers before those of the call. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Returns the header that announces a deadline. */
  readonly deadline: (ms: number) => readonly [name: string, value: string];
  readonly body: Uint8Array | undefined;
}

/** Sends a call as one HTTP request. Returns the request as evidence, with its response. */
export async function sendRaw(
  exchange: RawExchange,
  { headers, deadlineMs, signal, isolated }: RawCall,
  parts: RawParts,
): Promise<{ readonly sent: Sent; readonly response: RawResponse }> {
  const { method, url, body } = parts;
  const all = [...parts.headers, ...headers];
  if (deadlineMs !== undefined) all.push(parts.deadline(deadlineMs));
  const response = await exchange({ method, url, headers: all, body, signal, isolated });
  return { sent: { target: `${method} ${url}`, headers: all, body, response }, response };
}
