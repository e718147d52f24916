import { Code, ConnectError } from "@connectrpc/connect";
import { OperationError, type OperationErrorKind, type WaitReport } from "./operation-error.js";
import type { PollPolicy } from "./poll-policy.js";
import type { Snapshot } from "./snapshot.js";
import type { TrackedOperation } from "./tracked-operation.js";

/** Counts the looks of one wait, and judges those that failed. */
export interface LookTally {
  /** How often this wait has looked, the looks that failed included. */
  polls(): number;
  elapsedMs(): number;
  report(): WaitReport;
  /** An error that ends this wait. */
  fault(kind: OperationErrorKind, error: ConnectError): OperationError;
  /** Count a look that came through. */
  seen(): void;
  /**
   * Count a look that failed. The error that ends the wait by it; undefined where it is
   * worth another look.
   */
  failed(error: ConnectError): OperationError | undefined;
}

/** @param policy Says which failures may pass; what it throws is passed on by `failed`. */
export function createLookTally(
  tracked: TrackedOperation<unknown, unknown>,
  policy: PollPolicy,
): LookTally {
  const { calls, settings } = tracked.core;
  const startMs = calls.clock.nowMs();
  let polls = 0;
  let consecutiveFailures = 0;
  let lastPollError: ConnectError | undefined;
  const elapsedMs = () => calls.clock.nowMs() - startMs;
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
  return {
    polls: () => polls,
    elapsedMs,
    report,
    fault,
    seen() {
      polls += 1;
      consecutiveFailures = 0;
    },
    failed(error) {
      polls += 1;
      lastPollError = error;
      if (error.code === Code.NotFound) return tracked.mayLag() ? undefined : fault("gone", error);
      consecutiveFailures += 1;
      const mayPass =
        policy.isTransient(error) && consecutiveFailures < settings.maxConsecutiveFailures;
      return mayPass ? undefined : fault("poll", pollFailed(tracked.name, error));
    },
  };
}

/** The error of a wait that could not look: that of the last look, which is also its cause. */
function pollFailed(name: string, error: ConnectError): ConnectError {
  const message = `operation "${name}" could not be looked at: ${error.rawMessage}`;
  const failed = new ConnectError(message, error.code, error.metadata, undefined, error);
  failed.details = error.details;
  return failed;
}

/** The error of a wait for `what` that its caller has aborted, for this reason. */
export function waitAborted(what: string, reason: unknown): ConnectError {
  const message = `waiting for ${what} was aborted`;
  return new ConnectError(message, Code.Canceled, undefined, undefined, reason);
}
