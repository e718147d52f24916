import { yieldToEventLoop } from "./yield-to-event-loop.js";

/** The members of a node:http2 stream that `resetOnceAnswered` uses. */
export interface AnsweredStream {
  /** `localClose` is 1 once the end of the answer is sent. */
  readonly state: { readonly localClose?: number | undefined };
  once(event: "finish" | "wantTrailers", listener: () => void): unknown;
  close(code: number): void;
}

/** RFC 9113, section 7. */
const noError = 0;

/**
 * Resets the stream of a node:http2 request once its response is sent, unless the whole request
 * has arrived by then: an unread body must not keep a stream open. Call it before the response is
 * sent. The response's own "finish" event does not help, because it comes when the stream is closed.
 */
export function resetOnceAnswered(
  request: { readonly complete: boolean },
  stream: AnsweredStream,
): void {
  const reset = () => {
    if (!request.complete) stream.close(noError);
  };
  // Node asks for trailers when the body is sent, even if the response has no trailers. The reset
  // waits for the event loop, because it would overtake the trailers.
  stream.once("wantTrailers", () => void yieldToEventLoop().then(reset));
  // A response without a body does not emit "wantTrailers".
  stream.once("finish", async () => {
    await yieldToEventLoop();
    if (stream.state.localClose === 1) reset();
  });
}
