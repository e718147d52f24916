import { Code, type ConnectError } from "@connectrpc/connect";
import { monotonicMs } from "../internal/clock.js";
import { isTooLarge, pollFailed } from "./errors.js";
import { OperationError, type OperationErrorKind, type WaitReport } from "./operation-error.js";
import type { PollPolicy } from "./poll-policy.js";
import type { Snapshot } from "./snapshot.js";
import type { TrackedOperation } from "./tracked-operation.js";

/** Counts the polls of one wait, and decides whether a failed poll ends it. */
export interface PollStats {
  /** Number of polls, including failed ones. */
  polls(): number;
  elapsedMs(): number;
  report(): WaitReport;
  /** Returns an error that ends this wait. */
  fault(kind: OperationErrorKind, error: ConnectError): OperationError;
  /** Counts a successful poll. */
  recordSuccess(): void;
  /**
   * Counts a failed WaitOperation call. It never ends a wait, because GetOperation, which is called
   * next, may work.
   */
  recordFailedWait(error: ConnectError): void;
  /**
   * Counts a failed poll by GetOperation or a list. Returns the error that ends the wait, or
   * undefined if the client should poll again.
   */
  recordFailure(error: ConnectError): OperationError | undefined;
}

/**
 * Codes of a server that refuses the call for good, and also of a proxy's page and of a response
 * that was cut off, which Connect's transports report so. Only repeated ones end a wait.
 */
const doubtfulCodes: ReadonlySet<Code> = new Set([Code.InvalidArgument, Code.Unimplemented]);
const mostDoubtful = 3;

/** @param policy Decides which failures are transient. `recordFailure` passes its exceptions on. */
export function createPollStats(
  tracked: TrackedOperation<unknown, unknown>,
  policy: PollPolicy,
): PollStats {
  const { calls, settings } = tracked.core;
  const startMs = monotonicMs(calls.clock);
  let polls = 0;
  let consecutiveFailures = 0;
  let doubtful = 0;
  let lastPollError: ConnectError | undefined;
  const elapsedMs = () => Math.round(monotonicMs(calls.clock) - startMs);
  const report = (): WaitReport => ({
    operationName: tracked.name,
    snapshot: tracked.snapshot() as Snapshot,
    polls,
    consecutiveFailures,
    lastPollError,
    elapsedMs: elapsedMs(),
    resumeToken: tracked.resumeToken,
  });
  const fault = (kind: OperationErrorKind, error: ConnectError) =>
    new OperationError(kind, error, report());
  const recordFailedWait = (error: ConnectError) => {
    polls += 1;
    lastPollError = error;
  };
  /** Whether the failure may be transient, by its code and by how often it has come. */
  const maySucceedLater = (error: ConnectError) => {
    if (isTooLarge(error)) return false;
    if (policy.isTransient(error)) return true;
    doubtful += 1;
    return doubtfulCodes.has(error.code) && doubtful < mostDoubtful;
  };
  return {
    polls: () => polls,
    elapsedMs,
    report,
    fault,
    recordSuccess() {
      polls += 1;
      consecutiveFailures = 0;
      doubtful = 0;
    },
    recordFailedWait,
    recordFailure(error) {
      recordFailedWait(error);
      if (error.code === Code.NotFound) return tracked.mayLag() ? undefined : fault("gone", error);
      consecutiveFailures += 1;
      return maySucceedLater(error) && consecutiveFailures < settings.maxConsecutiveFailures
        ? undefined
        : fault("poll", pollFailed(tracked.name, error));
    },
  };
}
