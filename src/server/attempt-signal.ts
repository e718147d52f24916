import { fromBinary } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { Clock } from "../internal/clock.js";
import { StatusSchema } from "../protos.js";
import { errorFromStatus } from "../status/status-error.js";
import type { OperationRecord, OperationStore } from "../store/operation-store.js";
import type { Signals } from "../store/signals.js";
import { attemptLost, cancelledByRequest } from "./errors.js";

/**
 * Why the work of an attempt should stop: somebody asked for its cancellation, the
 * server shuts down, or the operation is no longer its own, because another attempt may
 * have it by now or it has ended.
 */
export type StopCause = "cancel" | "drain" | "loss";

/** The signal of one attempt, and why it aborted. */
export interface AttemptSignal {
  readonly signal: AbortSignal;
  /** Stop the work; `reason` is what its signal shows. Only the first reason shows. */
  stop(cause: StopCause, reason: ConnectError): void;
  /**
   * Look at the record of this attempt, from its claim on: it may carry the request to
   * cancel.
   */
  see(record: OperationRecord): void;
  /** Whether the work was asked to stop for this cause. */
  stoppedBy(cause: StopCause): boolean;
  /**
   * From now on an end of the operation with a response is this attempt's own, and no reason
   * to stop.
   */
  expectEnd(): void;
  /** Listen no more. Calling it again does nothing. */
  close(): void;
}

/**
 * A signal that aborts as soon as a cancellation of the operation is asked for,
 * in whichever process. It listens from when this resolves, so a record that is
 * read afterwards shows every earlier request.
 */
export async function createAttemptSignal(
  name: string,
  store: OperationStore,
  signals: Signals,
  clock: Clock,
): Promise<AttemptSignal> {
  /** Made when the work asks for the signal: most that is done at once never does. */
  let controller: AbortController | undefined;
  /** What the signal shows; undefined until the work is to stop. */
  let stopReason: ConnectError | undefined;
  const causes = new Set<StopCause>();
  let claim: OperationRecord | undefined;
  let unschedule: (() => void) | undefined;
  let closed = false;
  let isEndExpected = false;

  const stop = (cause: StopCause, reason: ConnectError) => {
    causes.add(cause);
    stopReason ??= reason;
    controller?.abort(stopReason);
  };
  const cancel = () => stop("cancel", cancelledByRequest());
  const see = (record: OperationRecord) => {
    claim = record;
    if (record.cancelRequestTimeMicros !== undefined) cancel();
  };
  const look = async () => {
    if (claim === undefined) return;
    const { attempt } = claim;
    // A store that cannot be reached says nothing; the next look may.
    const found = await store.look(claim).then(
      (record) => ({ record }),
      () => undefined,
    );
    if (closed || found === undefined) return;
    if (found.record !== undefined) {
      see(found.record);
      return;
    }
    const end = await endOf(store, name);
    // The end that is expected is a response. It may not have come to be: its transaction failed.
    if (isEndExpected && end === undefined) return;
    if (!closed) stop("loss", end ?? attemptLost(name, attempt));
  };
  const pollLater = () => {
    if (signals.pollIntervalMs === undefined || closed || stopReason !== undefined) return;
    unschedule = clock.schedule(signals.pollIntervalMs, () => void look().then(pollLater));
  };

  const unsubscribe = await signals.subscribe(name, (kind) => {
    if (kind === "cancel-requested") cancel();
    // An end that this attempt did not write: by a deadline, a pre-emption, another attempt.
    else if (kind === "missed" || kind === "done") void look();
  });
  pollLater();

  return {
    get signal() {
      if (controller === undefined) {
        controller = new AbortController();
        if (stopReason !== undefined) controller.abort(stopReason);
      }
      return controller.signal;
    },
    stop,
    see,
    stoppedBy: (cause) => causes.has(cause),
    expectEnd() {
      isEndExpected = true;
    },
    close() {
      if (closed) return;
      closed = true;
      unschedule?.();
      unsubscribe();
    },
  };
}

/** The error that an operation ended with meanwhile; undefined where that cannot be seen. */
async function endOf(store: OperationStore, name: string): Promise<ConnectError | undefined> {
  const record = await store.get(name).catch(() => undefined);
  if (record?.result?.kind !== "error") return undefined;
  return errorFromStatus(fromBinary(StatusSchema, record.result.value));
}
