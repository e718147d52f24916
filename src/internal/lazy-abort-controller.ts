/**
 * An AbortController that is created when its signal is first read. Workers refuse to create a
 * controller outside of a request, for example while modules load.
 */
export class LazyAbortController implements Pick<AbortController, "signal" | "abort"> {
  #controller: AbortController | undefined;
  #abortedBy: { readonly reason: unknown } | undefined;

  /** Whether `abort` was called. Reading it does not create the signal. */
  get aborted(): boolean {
    return this.#abortedBy !== undefined;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortedBy !== undefined) this.#controller.abort(this.#abortedBy.reason);
    }
    return this.#controller.signal;
  }

  abort(reason?: unknown): void {
    this.#abortedBy ??= { reason };
    this.#controller?.abort(reason);
  }
}
