import { Code, ConnectError } from "@connectrpc/connect";
import type { CallEnd, CallEndListener } from "../internal/call-end.js";
import type { QueuedTimer } from "../internal/timer-queue.js";
import type { CallGroup, GroupMember } from "./call-group.js";

/**
 * The abort reason of calls that ended successfully. All calls share one error, because its stack
 * is the most expensive part.
 */
export const callEnded = new DOMException("This operation was aborted", "AbortError");

/**
 * The end of a call, and its signal. Most handlers never read the signal. Until a handler does, the
 * call has no controller and no entry among the deadlines.
 */
export class CallSignal implements CallEnd, GroupMember, QueuedTimer {
  dueMs = 0;
  place = -1;
  readonly #group: CallGroup;
  /** The deadline by `performance.now`; undefined for no deadline. */
  readonly #deadlineMs: number | undefined;
  readonly #request: { readonly signal: AbortSignal } | undefined;
  #controller: AbortController | undefined;
  #listener: CallEndListener | undefined;
  #isWatching = false;
  /** Why the call is over, once it is; never undefined then. */
  #endReason: unknown;

  /**
   * @param request Its signal aborts the call's signal, and is read only when the call's signal is
   *   used. Default: none, for a server that calls `end` when the client disconnects.
   */
  constructor(
    group: CallGroup,
    deadlineMs: number | undefined,
    request?: { readonly signal: AbortSignal },
  ) {
    this.#group = group;
    this.#deadlineMs = deadlineMs;
    this.#request = request;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#watch();
      if (this.#endReason !== undefined) this.#controller.abort(this.#endReason);
    }
    return this.#controller.signal;
  }

  get aborted(): boolean {
    this.#watch();
    return this.#endReason !== undefined;
  }

  get reason(): unknown {
    return this.#endReason;
  }

  /** The first listener costs a field; further ones make it an AbortSignal. */
  addEventListener(type: "abort", listener: CallEndListener): void {
    this.#watch();
    if (this.#endReason !== undefined) return;
    if (this.#listener === undefined) this.#listener = listener;
    else this.signal.addEventListener(type, listener);
  }

  removeEventListener(type: "abort", listener: CallEndListener): void {
    if (this.#listener === listener) this.#listener = undefined;
    else this.#controller?.signal.removeEventListener(type, listener);
  }

  /** The call is over; only the first time counts. */
  end(reason: unknown): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    if (!this.#isWatching) return;
    this.#group.deadlines.remove(this);
    this.#group.delete(this);
    this.#request?.signal.removeEventListener("abort", this);
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.handleEvent();
    this.#controller?.abort(reason);
  }

  groupAborted(reason: unknown): void {
    this.end(reason);
  }

  /** The deadline has passed. */
  onDue(): void {
    this.end(timedOut());
  }

  /** The signal of the request is aborted. */
  handleEvent(): void {
    this.end(this.#request?.signal.reason);
  }

  /** Listens for the events that end the call. Called on the first access to the end. */
  #watch(): void {
    if (this.#isWatching || this.#endReason !== undefined) return;
    this.#isWatching = true;
    const requestSignal = this.#request?.signal;
    if (requestSignal?.aborted) {
      this.end(requestSignal.reason);
      return;
    }
    if (this.#deadlineMs !== undefined) {
      const leftMs = this.#deadlineMs - performance.now();
      if (leftMs <= 0) {
        this.end(timedOut());
        return;
      }
      this.#group.deadlines.add(this, leftMs);
    }
    requestSignal?.addEventListener("abort", this);
    this.#group.add(this);
  }
}

/** Returns DEADLINE_EXCEEDED, with the message that Connect's handlers and transports use. */
export function timedOut(): ConnectError {
  return new ConnectError("the operation timed out", Code.DeadlineExceeded);
}
