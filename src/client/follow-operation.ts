import { ConnectError } from "@connectrpc/connect";
import { callWithin } from "../internal/call-within.js";
import { notifySafely } from "../internal/notify-safely.js";
import { onAbort } from "../internal/on-abort.js";
import type { Operation } from "../protos.js";
import { ErrorInfoSchema } from "../protos.js";
import { deletedHere, waitAborted, waitTimedOut } from "./errors.js";
import { notNeeded } from "./not-needed.js";
import { OperationError, type WaitReport } from "./operation-error.js";
import type { OperationPoller, PollFollower } from "./operation-poller.js";
import { withRetries } from "./retries.js";
import type { FinalSnapshot, Snapshot } from "./snapshot.js";
import { type ClientCore, lastCallMs, type TrackedOperation } from "./tracked-operation.js";
import { type WaitLimits, type WaitOptions, waitLimits } from "./wait-options.js";
import { WaitRecord } from "./wait-record.js";

/** The events of a wait. No event comes after `done` or `gaveUp`. */
export interface FollowEvents<Response, Metadata> {
  /** Called after each poll with its state, even an unchanged one. Not called for the final state. */
  polled(snapshot: Snapshot<Response, Metadata>): void;
  /** Called when the operation is done. */
  done(snapshot: FinalSnapshot<Response, Metadata>, report: WaitReport): void;
  /** Called when the wait has failed. The operation may still be running. */
  gaveUp(error: unknown): void;
}

/**
 * Follows an operation until it is done, with the limits of one wait. Calls at most one of the
 * events that end the wait, and none before it has returned.
 *
 * @param wantsProgress Whether states before the final one matter.
 * @throws RangeError if an option is out of bounds.
 */
export function followOperation<Response, Metadata>(
  tracked: TrackedOperation<Response, Metadata>,
  options: WaitOptions<Response, Metadata>,
  wantsProgress: boolean,
  events: FollowEvents<Response, Metadata>,
): Wait<Response, Metadata> {
  const wait = new Wait(tracked, options, wantsProgress, events);
  wait.begin();
  return wait;
}

/**
 * One wait for an operation. It is a class because a closure would create its functions again for
 * each of thousands of waits.
 */
export class Wait<Response, Metadata> implements PollFollower {
  readonly wantsProgress: boolean;
  readonly #tracked: TrackedOperation<Response, Metadata>;
  readonly #options: WaitOptions<Response, Metadata>;
  readonly #events: FollowEvents<Response, Metadata>;
  readonly #limits: WaitLimits;
  readonly #record: WaitRecord;
  #latest: Snapshot<Response, Metadata>;
  #isOver = false;
  /** Aborts the calls of this wait when it ends. Created for the first such call. */
  #calls: AbortController | undefined;
  #poller: OperationPoller | undefined;
  #pausedBeforeMs = 0;
  #isStalled = false;
  #listenerHasThrown = false;
  #leave: (() => void) | undefined;
  #forgetSignal: (() => void) | undefined;
  #endTimeout: (() => void) | undefined;
  #endStall: (() => void) | undefined;

  constructor(
    tracked: TrackedOperation<Response, Metadata>,
    options: WaitOptions<Response, Metadata>,
    wantsProgress: boolean,
    events: FollowEvents<Response, Metadata>,
  ) {
    const { settings } = tracked.core;
    this.wantsProgress = wantsProgress || options.onProgress !== undefined;
    this.#tracked = tracked;
    this.#options = options;
    this.#events = events;
    this.#limits = waitLimits(options, settings);
    this.#record = new WaitRecord(tracked, this.#limits.policy);
    this.#latest = tracked.snapshot();
  }

  begin(): void {
    const { signal } = this.#options;
    const latest = this.#latest;
    if (signal?.aborted) queueMicrotask(() => this.#aborted());
    else if (latest.kind !== "running") {
      queueMicrotask(() => {
        this.#listen(latest);
        this.#finish(latest);
      });
    } else if (this.#tracked.isDeleted()) queueMicrotask(() => this.onDeleted());
    else {
      this.#forgetSignal = signal && onAbort(signal, () => this.#aborted());
      this.#endTimeout = this.#schedule("timeoutMs");
      this.#watchStall();
      this.#poller = this.#tracked.poller();
      this.#pausedBeforeMs = this.#poller.pausedMs();
      this.#leave = this.#poller.join(this);
    }
  }

  /** Ends the wait without an event. */
  stop(): void {
    this.#end(undefined);
  }

  isOver(): boolean {
    return this.#isOver;
  }

  /** Returns a signal that aborts when the wait ends. */
  signal(): AbortSignal {
    this.#calls ??= new AbortController();
    return this.#calls.signal;
  }

  /**
   * Polls at once, for at most `limitMs` milliseconds, which may end the wait. Resolves with whether
   * the poll succeeded.
   */
  async pollNow(limitMs: number): Promise<boolean> {
    const error = await this.#poller?.pollNow(this.signal(), limitMs);
    if (error !== undefined) this.onFailed(error);
    return error === undefined;
  }

  get notBeforeMs(): number {
    return this.#tracked.notBeforeMs;
  }

  delayMs(): number {
    try {
      // Timers take whole milliseconds.
      return Math.max(Math.ceil(this.#limits.policy.delayMs(this.#record.polls + 1)), 1) || 1;
    } catch (error) {
      queueMicrotask(() => this.#giveUp(error));
      return this.#tracked.core.settings.pollTimeoutMs;
    }
  }

  onPolled(operation: Operation): void {
    const snapshot = this.#tracked.onPolled(operation);
    this.#record.recordSuccess(operation);
    if (snapshot !== this.#latest) {
      this.#latest = snapshot;
      this.#watchStall();
      this.#listen(snapshot);
    }
    if (snapshot.kind === "running") this.#events.polled(snapshot);
    else this.#finish(snapshot);
  }

  onFailedWait(error: ConnectError): void {
    this.#record.recordFailedWait(error);
  }

  onFailed(error: ConnectError): void {
    let fault: unknown;
    try {
      fault = this.#record.recordFailure(error);
    } catch (thrown) {
      this.#giveUp(thrown);
      return;
    }
    const known = this.#tracked.snapshot();
    // Another poll may have seen the final state in the meantime.
    if (known.kind !== "running") this.#finish(known);
    else if (fault !== undefined) this.#giveUp(fault);
  }

  onDeleted(): void {
    this.#giveUp(this.#record.fault("gone", deletedHere(this.#tracked.name)));
  }

  #aborted(): void {
    const error = waitAborted(`operation "${this.#tracked.name}"`, this.#options.signal?.reason);
    this.#giveUp(this.#record.fault("aborted", error));
  }

  /** Ends the wait. Returns false if it had ended before. */
  #end(error: ConnectError | undefined): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#calls?.abort(notNeeded);
    this.#leave?.();
    this.#forgetSignal?.();
    this.#endTimeout?.();
    this.#endStall?.();
    const pausedMs = (this.#poller?.pausedMs() ?? 0) - this.#pausedBeforeMs;
    this.#record.ended(error, pausedMs, this.#poller?.lastPauseMs() ?? 0);
    return true;
  }

  /** Ends the wait with its OperationError, or with an exception of the caller's poll policy. */
  #giveUp(error: unknown): void {
    if (this.#end(ConnectError.from(error))) this.#events.gaveUp(error);
  }

  #finish(snapshot: FinalSnapshot<Response, Metadata>): void {
    const error = snapshot.kind === "succeeded" ? undefined : snapshot.error;
    if (this.#end(error)) this.#events.done(snapshot, this.#record.report());
  }

  #watchStall(): void {
    this.#endStall?.();
    this.#isStalled = false;
    this.#endStall = this.#schedule("stallMs");
  }

  #schedule(limit: "timeoutMs" | "stallMs") {
    const limitMs = this.#limits[limit];
    if (limitMs === undefined) return undefined;
    return this.#tracked.core.calls.clock.schedule(limitMs, () => {
      if (limit === "stallMs") this.#isStalled = true;
      void this.#outOfTime(limit, limitMs);
    });
  }

  async #outOfTime(limit: "timeoutMs" | "stallMs", limitMs: number): Promise<void> {
    const { core, name } = this.#tracked;
    await this.pollNow(lastCallMs(core));
    // A change in the last poll has restarted the time of stallMs.
    if (this.#isOver || (limit === "stallMs" && !this.#isStalled)) return;
    if (this.#options.onTimeout === "cancel") {
      const cancelling = requestCancellation(core, name, this.signal(), 1, lastCallMs(core));
      await cancelling.catch(() => undefined);
    }
    const { polls } = this.#record;
    const what = limit === "stallMs" ? "has not changed for" : "is not done after";
    const message = `operation "${name}" ${what} ${limitMs} ms (${polls} polls)`;
    const metadata = { name, limit, limitMs: String(limitMs), polls: String(polls) };
    this.#giveUp(this.#record.fault("timeout", waitTimedOut(message, metadata)));
  }

  /** Calls `onProgress`, and reports its first exception. */
  #listen(snapshot: Snapshot<Response, Metadata>): void {
    const { onProgress, onListenerError = printError } = this.#options;
    try {
      onProgress?.(snapshot);
    } catch (error) {
      if (this.#listenerHasThrown) return;
      this.#listenerHasThrown = true;
      notifySafely(onListenerError, (to) => to(error));
    }
  }
}

function printError(error: unknown): void {
  console.error("connect-longrunning: onProgress threw", error);
}

/** Returns the error that stands for a final state other than success. */
export function errorOfFinal(
  snapshot: Exclude<FinalSnapshot, { kind: "succeeded" }>,
  report: WaitReport,
): OperationError {
  const { kind, error } = snapshot;
  const [info] = error.findDetails(ErrorInfoSchema);
  const isOtherType = info?.reason === "UNEXPECTED_TYPE";
  return new OperationError(
    kind === "malformed" && isOtherType ? "unexpected-type" : kind,
    error,
    report,
  );
}

/**
 * Requests the cancellation. Each call is limited by `limitMs`, by default the `pollTimeoutMs`.
 *
 * @throws ConnectError of the last call.
 */
export function requestCancellation(
  core: ClientCore,
  name: string,
  ended: AbortSignal,
  maxTries: number,
  limitMs = core.settings.pollTimeoutMs,
): Promise<unknown> {
  const { calls, settings } = core;
  const { isTransient } = settings.poll;
  return withRetries(core, { maxTries, isRetryable: isTransient, signal: ended }, () =>
    callWithin(calls.clock, limitMs, ended, (signal) =>
      calls.rpc.cancelOperation({ name }, { signal, timeoutMs: limitMs }),
    ),
  );
}
