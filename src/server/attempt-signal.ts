import type { Clock } from "../internal/clock.js";
import type { OperationRecord, OperationStore } from "../store/operation-store.js";
import type { Signals } from "../store/signals.js";
import { cancelledByRequest } from "./errors.js";

/** The signal of one attempt, and what may still be known of its cancellation. */
export interface AttemptSignal {
  readonly signal: AbortSignal;
  /** Stop the work for this reason; only the first reason counts. */
  abort(reason: unknown): void;
  /** Look at a record that was read for another purpose: it may carry the request to cancel. */
  see(record: OperationRecord): void;
  /** Whether somebody asked for the cancellation of the operation. */
  readonly cancelRequested: boolean;
  /** Listen no more. */
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
  const controller = new AbortController();
  let cancelRequested = false;
  let unschedule: (() => void) | undefined;
  let closed = false;

  const cancel = () => {
    cancelRequested = true;
    controller.abort(cancelledByRequest());
  };
  const see = (record: OperationRecord) => {
    if (record.cancelRequestTimeMicros !== undefined) cancel();
  };
  const look = async () => {
    const record = await store.get(name).catch(() => undefined);
    if (record !== undefined && !closed) see(record);
  };
  const pollLater = () => {
    if (signals.pollIntervalMs === undefined || closed || cancelRequested) return;
    unschedule = clock.schedule(signals.pollIntervalMs, () => void look().then(pollLater));
  };

  const unsubscribe = await signals.subscribe(name, (kind) => {
    if (kind === "cancel-requested") cancel();
    else if (kind === "missed") void look();
  });
  pollLater();

  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    see,
    get cancelRequested() {
      return cancelRequested;
    },
    close() {
      closed = true;
      unschedule?.();
      unsubscribe();
    },
  };
}
