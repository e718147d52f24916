import type { DescMessage } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { notifySafely } from "../internal/notify-safely.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { StatusSchema } from "../protos.js";
import { statusFromError } from "../status/status-error.js";
import type { OperationRecord, StoredResult } from "../store/operation-store.js";
import type { AttemptSignal } from "./attempt-signal.js";
import { cancelledByRequest, workFailed } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import type { RunObservation } from "./observer.js";
import { storedError, storedResponse } from "./stored-result.js";
import { Continuation, type Work } from "./work.js";

/** The outcome of the work of one attempt. */
export type WorkOutcome =
  | { kind: "response"; result: StoredResult }
  | { kind: "continue"; continuation: Continuation }
  | { kind: "error"; thrown: unknown };

/** Calls the work, inside the context that the observer sets up. Never rejects. */
export async function runWork<I extends DescMessage, R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<I, R, M>,
  observation: RunObservation | undefined,
  work: () => ReturnType<Work<I, R, M>>,
): Promise<WorkOutcome> {
  try {
    const returned = await calledWithin(observation, work);
    if (returned instanceof Continuation) return { kind: "continue", continuation: returned };
    assertReturned(returned, method);
    return { kind: "response", result: storedResponse(method.response, returned) };
  } catch (thrown) {
    return { kind: "error", thrown };
  }
}

/**
 * Checks a value that work without types may have returned.
 *
 * @throws Error for a value that is not an object, or that is a message of another type.
 */
function assertReturned(value: unknown, { method, response }: LongRunningMethod): void {
  const typeName: unknown =
    typeof value === "object" && value !== null ? Reflect.get(value, "$typeName") : undefined;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    if (typeName === undefined || typeName === response.typeName) return;
  }
  const shown = typeof typeName === "string" ? `a ${typeName}` : kindOf(value);
  throw new Error(`the work of ${fullName(method)} returned ${shown}, not a ${response.typeName}`);
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}

/** Calls the work in the observer's context, exactly once, whatever the observer does. */
function calledWithin<T>(observation: RunObservation | undefined, work: () => T): T {
  let called: { readonly value: T } | { readonly thrown: unknown } | undefined;
  const call = () => {
    if (called !== undefined) return called;
    try {
      called = { value: work() };
    } catch (thrown) {
      called = { thrown };
    }
    return called;
  };
  notifySafely(observation, (to) => to.within?.(call));
  const outcome = call();
  if ("thrown" in outcome) throw outcome.thrown;
  return outcome.value;
}

/**
 * Returns the result of an operation whose work threw. The log gets the details that clients do not
 * see.
 */
export function resultOfThrown(
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
    // The code or the details of the ConnectError cannot be encoded.
    log({ kind: "work-failed", name, method, attempt, cause });
  }
  return storedError(attemptSignal.stoppedBy("cancel") ? cancelledByRequest() : workFailed());
}

/** Whether a platform function threw this because its signal aborted. */
function isAbortError(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "AbortError";
}

/**
 * Returns the error of an operation whose work threw after a request to cancel. A ConnectError
 * other than the signal's reason is added as a detail.
 */
function cancelledWith(thrown: unknown, reason: unknown): ConnectError {
  const isOther = thrown instanceof ConnectError && thrown !== reason;
  return cancelledByRequest(
    isOther ? [{ desc: StatusSchema, value: statusFromError(thrown) }] : undefined,
  );
}
