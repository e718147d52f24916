import { fromBinary } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { Clock } from "../internal/clock.js";
import { StatusSchema } from "../protos.js";
import { errorFromStatus } from "../status/status-error.js";
import type { OperationRecord, OperationStore } from "../store/operation-store.js";
import type { Signals } from "../store/signals.js";
import { attemptLost, cancelledByRequest } from "./errors.js";

/**
 * Why the work of an attempt should stop. `cancel`: a client asked for it. `drain`: the server
 * shuts down. `loss`: another attempt may have the operation, or the operation has ended.
 */
export type StopCause = "cancel" | "drain" | "loss";

/** The signal of one attempt, and why it aborted. */
export interface AttemptSignal {
  readonly signal: AbortSignal;
  /** Aborts the signal with `reason`. Only the first reason counts. */
  stop(cause: StopCause, reason: ConnectError): void;
  /** Takes a new state of this attempt's record, which may contain the request to cancel. */
  onRecord(record: OperationRecord): void;
  /** Whether the work was asked to stop for this cause. */
  stoppedBy(cause: StopCause): boolean;
  /** Stops treating a response of the operation as a loss: this attempt writes it itself. */
  expectEnd(): void;
  /** Ends the subscription. Calling it again does nothing. */
  close(): void;
}

/**
 * Creates a signal that aborts as soon as any process gets a request to cancel the operation. It is
 * subscribed when this resolves, so a record that is read afterwards contains every earlier request.
 */
export async function createAttemptSignal(
  name: string,
  store: OperationStore,
  signals: Signals,
  clock: Clock,
): Promise<AttemptSignal> {
  /** Created when the work reads the signal. Short work usually does not. */
  let controller: AbortController | undefined;
  /** The reason of the signal; undefined until the work should stop. */
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
  const onRecord = (record: OperationRecord) => {
    claim = record;
    if (record.cancelRequestTimeMicros !== undefined) cancel();
  };
  const readRecord = async () => {
    if (claim === undefined) return;
    const { attempt } = claim;
    // If the store fails, the next read may succeed.
    const found = await store.look(claim).then(
      (record) => ({ record }),
      () => undefined,
    );
    if (closed || found === undefined) return;
    if (found.record !== undefined) {
      onRecord(found.record);
      return;
    }
    const end = await endOf(store, name);
    // The expected end is a response. Without a response its transaction failed.
    if (isEndExpected && end === undefined) return;
    if (!closed) stop("loss", end ?? attemptLost(name, attempt));
  };
  const pollLater = () => {
    if (signals.pollIntervalMs === undefined || closed || stopReason !== undefined) return;
    unschedule = clock.schedule(signals.pollIntervalMs, () => void readRecord().then(pollLater));
  };

  const unsubscribe = await signals.subscribe(name, (kind) => {
    if (kind === "cancel-requested") cancel();
    // Another writer may have ended the operation: a deadline, a pre-emption or another attempt.
    else if (kind === "missed" || kind === "done") void readRecord();
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
    onRecord,
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

/** Returns the error of an operation that has ended; undefined if it succeeded, still runs or cannot be read. */
async function endOf(store: OperationStore, name: string): Promise<ConnectError | undefined> {
  const record = await store.get(name).catch(() => undefined);
  if (record?.result?.kind !== "error") return undefined;
  return errorFromStatus(fromBinary(StatusSchema, record.result.value));
}
