import { nextTurn } from "./next-turn.js";

/** What of a stream of node:http2 is needed. */
export interface AnsweredStream {
  /** `localClose` is 1 once the end of the answer is sent. */
  readonly state: { readonly localClose?: number | undefined };
  once(event: "finish" | "wantTrailers", listener: () => void): unknown;
  close(code: number): void;
}

/** RFC 9113, section 7. */
const noError = 0;

/**
 * Reset the stream of a request of node:http2 once its answer is sent, unless all of the request
 * has come by then: a body that nobody reads must not keep a stream open. To be called before the
 * answer. The response's own "finish" is of no use, as it comes when the stream is closed.
 */
export function resetOnceAnswered(
  request: { readonly complete: boolean },
  stream: AnsweredStream,
): void {
  const reset = () => {
    if (!request.complete) stream.close(noError);
  };
  // Node asks for trailers when the body is sent, also where there are none. Not at once: a reset
  // overtakes them.
  stream.once("wantTrailers", () => void nextTurn().then(reset));
  // An answer of headers alone has none.
  stream.once("finish", async () => {
    await nextTurn();
    if (stream.state.localClose === 1) reset();
  });
}
