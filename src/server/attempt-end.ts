import { ConnectError } from "@connectrpc/connect";
import { StatusSchema } from "../protos.js";
import { statusFromError } from "../status/status-error.js";
import type { OperationRecord, StoredResult } from "../store/operation-store.js";
import type { AttemptSignal } from "./attempt-signal.js";
import { cancelledByRequest, workerLost, workFailed } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import { storedError } from "./stored-result.js";

/**
 * The end of a claimed operation that must not run: it was cancelled, or was lost as often
 * as `maxLosses`.
 */
export function endBeforeRun(record: OperationRecord, maxLosses: number): StoredResult | undefined {
  if (record.cancelRequestTimeMicros !== undefined) return storedError(cancelledByRequest());
  const { losses } = record;
  return losses >= maxLosses ? storedError(workerLost(losses)) : undefined;
}

/** The end of an operation whose work threw. What no client is told goes to `log`. */
export function endOfThrown(
  thrown: unknown,
  { name, method, attempt }: OperationRecord,
  attemptSignal: AttemptSignal,
  log: (event: OperationsEvent) => void,
): StoredResult {
  try {
    if (attemptSignal.stoppedBy("cancel")) {
      if (!(thrown instanceof ConnectError) && !isAbortError(thrown)) {
        log({ kind: "work-failed", name, method, attempt, cause: thrown });
      }
      return storedError(cancelledWith(thrown, attemptSignal.signal.reason));
    }
    if (thrown instanceof ConnectError) return storedError(thrown);
    log({ kind: "work-failed", name, method, attempt, cause: thrown });
  } catch (cause) {
    // A ConnectError whose code or details cannot be encoded.
    log({ kind: "work-failed", name, method, attempt, cause });
  }
  return storedError(attemptSignal.stoppedBy("cancel") ? cancelledByRequest() : workFailed());
}

/** What platform functions throw when a signal aborts. */
function isAbortError(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "AbortError";
}

/**
 * The end of an operation whose work threw after its cancellation was asked for.
 * What it threw rides along as a detail, where that is more than the reason.
 */
function cancelledWith(thrown: unknown, reason: unknown): ConnectError {
  const said = thrown instanceof ConnectError && thrown !== reason;
  return cancelledByRequest(
    said ? [{ desc: StatusSchema, value: statusFromError(thrown) }] : undefined,
  );
}
