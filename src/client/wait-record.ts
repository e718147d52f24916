import { Code, type ConnectError } from "@connectrpc/connect";
import { monotonicMs } from "../internal/clock.js";
import { notifySafely } from "../internal/notify-safely.js";
import { fullName } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import { pollFailed } from "./errors.js";
import type { WaitObservation } from "./observer.js";
import { OperationError, type OperationErrorKind, type WaitReport } from "./operation-error.js";
import type { PollPolicy } from "./poll-policy.js";
import type { Snapshot } from "./snapshot.js";
import type { TrackedOperation } from "./tracked-operation.js";
import { isUnreadableHere } from "./unreadable-responses.js";

/** How many failures with a doubtful code end a wait. */
const mostDoubtful = 3;

/**
 * Counts the polls of one wait, notifies its observer, and decides whether a failed poll ends it.
 */
export class WaitRecord {
  /** Number of polls, including failed ones. */
  polls = 0;
  readonly #tracked: TrackedOperation<unknown, unknown>;
  readonly #policy: PollPolicy;
  readonly #startMs: number;
  #consecutiveFailures = 0;
  #doubtful = 0;
  #lastPollError: ConnectError | undefined;
  readonly #observation: WaitObservation | undefined;

  /** @param policy Decides which failures are transient. `recordFailure` passes its exceptions on. */
  constructor(tracked: TrackedOperation<unknown, unknown>, policy: PollPolicy) {
    this.#tracked = tracked;
    this.#policy = policy;
    this.#startMs = monotonicMs(tracked.core.calls.clock);
    this.#observation = notifySafely(tracked.core.settings.observer, (to) =>
      to.waitStarted?.({
        operationName: tracked.name,
        method: fullName(tracked.method.method),
        link: tracked.link,
      }),
    );
  }

  report(): WaitReport {
    return {
      operationName: this.#tracked.name,
      snapshot: this.#tracked.snapshot() as Snapshot,
      polls: this.polls,
      consecutiveFailures: this.#consecutiveFailures,
      lastPollError: this.#lastPollError,
      elapsedMs: this.#elapsedMs(),
      resumeToken: this.#tracked.resumeToken,
    };
  }

  /** Returns an error that ends this wait. */
  fault(kind: OperationErrorKind, error: ConnectError): OperationError {
    return new OperationError(kind, error, this.report());
  }

  /** Counts a successful poll. */
  recordSuccess(operation: Operation): void {
    this.polls += 1;
    this.#consecutiveFailures = 0;
    this.#doubtful = 0;
    notifySafely(this.#observation, (to) => to.polled?.({ operation }));
  }

  /**
   * Counts a failed WaitOperation call. It never ends a wait, because GetOperation, which is called
   * next, may work.
   */
  recordFailedWait(error: ConnectError): void {
    this.polls += 1;
    this.#lastPollError = error;
    notifySafely(this.#observation, (to) => to.polled?.({ error }));
  }

  /**
   * Counts a failed poll by GetOperation or a list. Returns the error that ends the wait, or
   * undefined if the client should poll again.
   */
  recordFailure(error: ConnectError): OperationError | undefined {
    this.recordFailedWait(error);
    const { core, name } = this.#tracked;
    if (error.code === Code.NotFound) {
      return this.#tracked.mayLag() ? undefined : this.fault("gone", error);
    }
    this.#consecutiveFailures += 1;
    return this.#maySucceedLater(error) &&
      this.#consecutiveFailures < core.settings.maxConsecutiveFailures
      ? undefined
      : this.fault("poll", pollFailed(name, error));
  }

  /**
   * Records the end of the wait.
   *
   * @param pausedMs Total of its pauses, in milliseconds.
   * @param lastPauseMs Length of the pause before the latest poll, in milliseconds.
   */
  ended(error: ConnectError | undefined, pausedMs: number, lastPauseMs: number): void {
    const snapshot = this.#tracked.snapshot() as Snapshot;
    const done = snapshot.kind !== "running";
    const { polls } = this;
    const elapsedMs = this.#elapsedMs();
    const overshootMs = done ? Math.min(lastPauseMs, elapsedMs) : 0;
    notifySafely(this.#observation, (to) =>
      to.ended?.({ done, snapshot, error, polls, elapsedMs, pausedMs, overshootMs }),
    );
  }

  #elapsedMs(): number {
    return Math.round(monotonicMs(this.#tracked.core.calls.clock) - this.#startMs);
  }

  /** Whether the failure may be transient, by its code and by how often it has come. */
  #maySucceedLater(error: ConnectError): boolean {
    if (isUnreadableHere(error)) return false;
    if (this.#policy.isTransient(error)) return true;
    this.#doubtful += 1;
    // Servers use these codes to refuse a call for good. Connect's transports also use them for a
    // proxy's page and for a response that was cut off.
    const isDoubtful = [Code.InvalidArgument, Code.Unimplemented].includes(error.code);
    return isDoubtful && this.#doubtful < mostDoubtful;
  }
}
