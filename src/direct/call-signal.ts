import { longestMs } from "../internal/option-bounds.js";
import type { AbortGroup } from "./abort-group.js";
import { timedOut } from "./timed-out.js";

/** Why the signal of a call is aborted that has ended well: one for all, as its stack costs most. */
export const callEnded = new DOMException("This operation was aborted", "AbortError");

/**
 * The signal of a call, which most handlers never look at: until one does there is neither a
 * controller nor a timer for the deadline.
 */
export class CallSignal {
  readonly #shutdown: AbortGroup;
  /** By `Date.now`; undefined for no deadline. */
  readonly #deadlineMs: number | undefined;
  readonly #request: { readonly signal: AbortSignal } | undefined;
  #controller: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Why the call is over, once it is; never undefined then. */
  #endReason: unknown;

  /**
   * @param request whose signal aborts the call's, and is asked for only then. Default: none, for
   *   whoever calls `end` where the client goes away.
   */
  constructor(
    shutdown: AbortGroup,
    deadlineMs: number | undefined,
    request?: { readonly signal: AbortSignal },
  ) {
    this.#shutdown = shutdown;
    this.#deadlineMs = deadlineMs;
    this.#request = request;
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#createController();
    return this.#controller.signal;
  }

  /** Abort it as the call is over; only the first time counts. */
  end(reason: unknown): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    if (this.#controller !== undefined) this.#abort(reason);
  }

  #createController(): AbortController {
    const controller = new AbortController();
    if (this.#endReason !== undefined) {
      controller.abort(this.#endReason);
      return controller;
    }
    const requestSignal = this.#request?.signal;
    if (requestSignal?.aborted) {
      controller.abort(requestSignal.reason);
      return controller;
    }
    if (this.#deadlineMs !== undefined) {
      const leftMs = this.#deadlineMs - Date.now();
      if (leftMs <= 0) {
        controller.abort(timedOut());
        return controller;
      }
      // A longer one would fire at once.
      this.#timer = setTimeout(() => this.#abort(timedOut()), Math.min(leftMs, longestMs));
    }
    this.#controller = controller;
    requestSignal?.addEventListener("abort", this.#onRequestAbort);
    this.#shutdown.add(this.#abort);
    return controller;
  }

  readonly #onRequestAbort = (): void => this.#abort(this.#request?.signal.reason);

  readonly #abort = (reason: unknown): void => {
    clearTimeout(this.#timer);
    this.#request?.signal.removeEventListener("abort", this.#onRequestAbort);
    this.#shutdown.delete(this.#abort);
    this.#controller?.abort(reason);
  };
}
