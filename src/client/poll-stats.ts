import { Code, type ConnectError } from "@connectrpc/connect";
import { monotonicMs } from "../internal/clock.js";
import { isTooLarge, pollFailed } from "./errors.js";
import { OperationError, type OperationErrorKind, type WaitReport } from "./operation-error.js";
import type { PollPolicy } from "./poll-policy.js";
import type { Snapshot } from "./snapshot.js";
import type { TrackedOperation } from "./tracked-operation.js";

/**
 * Codes of a server that refuses the call for good, and also of a proxy's page and of a response
 * that was cut off, which Connect's transports report so. Only repeated ones end a wait.
 */
const doubtfulCodes: ReadonlySet<Code> = new Set([Code.InvalidArgument, Code.Unimplemented]);
const mostDoubtful = 3;

/** Counts the polls of one wait, and decides whether a failed poll ends it. */
export class PollStats {
  /** Number of polls, including failed ones. */
  polls = 0;
  readonly #tracked: TrackedOperation<unknown, unknown>;
  readonly #policy: PollPolicy;
  readonly #startMs: number;
  #consecutiveFailures = 0;
  #doubtful = 0;
  #lastPollError: ConnectError | undefined;

  /** @param policy Decides which failures are transient. `recordFailure` passes its exceptions on. */
  constructor(tracked: TrackedOperation<unknown, unknown>, policy: PollPolicy) {
    this.#tracked = tracked;
    this.#policy = policy;
    this.#startMs = monotonicMs(tracked.core.calls.clock);
  }

  elapsedMs(): number {
    return Math.round(monotonicMs(this.#tracked.core.calls.clock) - this.#startMs);
  }

  report(): WaitReport {
    return {
      operationName: this.#tracked.name,
      snapshot: this.#tracked.snapshot() as Snapshot,
      polls: this.polls,
      consecutiveFailures: this.#consecutiveFailures,
      lastPollError: this.#lastPollError,
      elapsedMs: this.elapsedMs(),
      resumeToken: this.#tracked.resumeToken,
    };
  }

  /** Returns an error that ends this wait. */
  fault(kind: OperationErrorKind, error: ConnectError): OperationError {
    return new OperationError(kind, error, this.report());
  }

  /** Counts a successful poll. */
  recordSuccess(): void {
    this.polls += 1;
    this.#consecutiveFailures = 0;
    this.#doubtful = 0;
  }

  /**
   * Counts a failed WaitOperation call. It never ends a wait, because GetOperation, which is called
   * next, may work.
   */
  recordFailedWait(error: ConnectError): void {
    this.polls += 1;
    this.#lastPollError = error;
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

  /** Whether the failure may be transient, by its code and by how often it has come. */
  #maySucceedLater(error: ConnectError): boolean {
    if (isTooLarge(error)) return false;
    if (this.#policy.isTransient(error)) return true;
    this.#doubtful += 1;
    return doubtfulCodes.has(error.code) && this.#doubtful < mostDoubtful;
  }
}
