import { longestMs } from "../internal/option-bounds.js";
import type { AbortGroup } from "./abort-group.js";
import { timedOut } from "./protocol-errors.js";

/**
 * The signal of a call, which most handlers never look at: until one does there is neither a
 * controller nor a timer for the deadline.
 */
export class CallSignal {
  readonly #shutdown: AbortGroup;
  /** By `Date.now`; undefined for no deadline. */
  readonly #deadlineMs: number | undefined;
  #controller: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Why the call is over, once it is; never undefined then. */
  #endReason: unknown;

  constructor(shutdown: AbortGroup, deadlineMs: number | undefined) {
    this.#shutdown = shutdown;
    this.#deadlineMs = deadlineMs;
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
    this.#shutdown.add(this.#abort);
    return controller;
  }

  readonly #abort = (reason: unknown): void => {
    clearTimeout(this.#timer);
    this.#shutdown.delete(this.#abort);
    this.#controller?.abort(reason);
  };
}
