import { Code, ConnectError } from "@connectrpc/connect";
import { callWithin } from "../internal/call-within.js";
import { fullName } from "../operation/long-running.js";
import { errorWithInfo } from "../status/error-info.js";
import { standardDetailsOf } from "../status/standard-details.js";
import { routed } from "./operation-calls.js";
import { OperationError, type OperationErrorKind, type WaitReport } from "./operation-error.js";
import type { OperationPoller } from "./operation-poller.js";
import type { FinalSnapshot, Snapshot } from "./snapshot.js";
import type { TrackedOperation } from "./tracked-operation.js";
import { type WaitOptions, waitLimits } from "./wait-options.js";

/** What a wait gives to whoever waits. Nothing comes after one of the last two. */
export interface FollowEvents<Response, Metadata> {
  /** A look showed this, which may be what the last one showed. Not called for the final state. */
  looked(snapshot: Snapshot<Response, Metadata>): void;
  /** The operation is done. */
  done(snapshot: FinalSnapshot<Response, Metadata>, report: WaitReport): void;
  /** The wait is over, and the operation is not, as far as anybody knows. */
  gaveUp(error: unknown): void;
}

/**
 * Follow an operation to its end, with the limits of one wait. At most one of the
 * events that end it is called, and never before this has returned.
 *
 * @param wantsProgress Whether states on the way matter, or only the end.
 * @returns Stops the following without an event.
 * @throws RangeError for an option out of its bounds.
 */
export function followOperation<Response, Metadata>(
  tracked: TrackedOperation<Response, Metadata>,
  options: WaitOptions<Response, Metadata>,
  wantsProgress: boolean,
  events: FollowEvents<Response, Metadata>,
): () => void {
  const { calls, settings } = tracked.core;
  const { clock } = calls;
  const { signal } = options;
  const { policy, timeoutMs, stallMs } = waitLimits(options, settings);
  const startMs = clock.nowMs();
  const ended = new AbortController();
  let poller: OperationPoller | undefined;
  let pausedBeforeMs = 0;
  let polls = 0;
  let consecutiveFailures = 0;
  let lastPollError: ConnectError | undefined;
  let latest = tracked.snapshot();
  let leave: () => void = () => undefined;
  let endTimeout: () => void = () => undefined;
  let endStall: () => void = () => undefined;

  const report = (): WaitReport => ({
    operationName: tracked.name,
    snapshot: tracked.snapshot() as Snapshot,
    polls,
    consecutiveFailures,
    lastPollError,
    elapsedMs: clock.nowMs() - startMs,
    resumeToken: tracked.resumeToken,
  });
  const fault = (kind: OperationErrorKind, error: ConnectError) =>
    new OperationError(kind, error, report());

  const cleanUp = () => {
    ended.abort();
    leave();
    endTimeout();
    endStall();
    signal?.removeEventListener("abort", onAbort);
  };
  const end = (error: ConnectError | undefined, tell: () => void) => {
    if (ended.signal.aborted) return;
    cleanUp();
    const cost = {
      polls,
      elapsedMs: clock.nowMs() - startMs,
      pausedMs: (poller?.pausedMs() ?? 0) - pausedBeforeMs,
      overshootMs: polls === 0 ? 0 : (poller?.lastPauseMs() ?? 0),
    };
    const done = tracked.snapshot().kind !== "running";
    observe(observation, (to) => to.ended?.({ done, error, ...cost }));
    tell();
  };
  const stop = () => end(undefined, () => undefined);
  const giveUp = (error: OperationError) => end(error, () => events.gaveUp(error));
  const finish = (snapshot: FinalSnapshot<Response, Metadata>) => {
    const error = snapshot.kind === "succeeded" ? undefined : snapshot.error;
    end(error, () => events.done(snapshot, report()));
  };
  const onAbort = () => {
    const reason: unknown = signal?.reason;
    const message = `waiting for operation "${tracked.name}" was aborted`;
    giveUp(
      fault("aborted", new ConnectError(message, Code.Canceled, undefined, undefined, reason)),
    );
  };

  const outOfTime = async (limit: "timeoutMs" | "stallMs", limitMs: number) => {
    await poller?.lookNow(ended.signal);
    if (ended.signal.aborted) return;
    // A change that the last look showed has started the clock of stallMs anew.
    if (limit === "stallMs" && !stalled) return;
    if (options.onTimeout === "cancel") await askToCancel(tracked);
    giveUp(fault("timeout", timedOut(tracked.name, limit, limitMs, polls)));
  };
  let stalled = false;
  const watchStall = () => {
    endStall();
    stalled = false;
    if (stallMs === undefined) return;
    endStall = clock.schedule(stallMs, () => {
      stalled = true;
      void outOfTime("stallMs", stallMs);
    });
  };

  const observation = observe(settings.observer, (to) =>
    to.waitStarted?.({
      operationName: tracked.name,
      method: fullName(tracked.method.method),
      link: tracked.link,
    }),
  );
  const listener = createListener(options);

  if (signal?.aborted) {
    queueMicrotask(onAbort);
    return stop;
  }
  if (latest.kind !== "running") {
    const snapshot = latest;
    queueMicrotask(() => {
      listener(snapshot);
      finish(snapshot);
    });
    return stop;
  }
  signal?.addEventListener("abort", onAbort, { once: true });
  if (timeoutMs !== undefined) {
    endTimeout = clock.schedule(timeoutMs, () => void outOfTime("timeoutMs", timeoutMs));
  }
  watchStall();
  poller = tracked.poller();
  pausedBeforeMs = poller.pausedMs();
  leave = poller.join({
    wantsProgress: wantsProgress || options.onProgress !== undefined,
    delayMs() {
      try {
        return Math.max(policy.delayMs(polls + 1), 1) || 1;
      } catch (error) {
        // A caller's own policy is at fault, and its caller hears of it.
        queueMicrotask(() => end(ConnectError.from(error), () => events.gaveUp(error)));
        return settings.pollTimeoutMs;
      }
    },
    see(operation) {
      polls += 1;
      consecutiveFailures = 0;
      const snapshot = tracked.see(operation);
      observe(observation, (to) => to.polled?.({ operation }));
      if (snapshot !== latest) {
        latest = snapshot;
        watchStall();
        listener(snapshot);
      }
      if (snapshot.kind === "running") events.looked(snapshot);
      else finish(snapshot);
    },
    fail(error) {
      polls += 1;
      lastPollError = error;
      observe(observation, (to) => to.polled?.({ error }));
      const known = tracked.snapshot();
      if (known.kind !== "running") {
        // Another look has seen the end in the meantime.
        finish(known);
        return;
      }
      if (error.code === Code.NotFound) {
        if (!tracked.mayLag()) giveUp(fault("gone", error));
        return;
      }
      consecutiveFailures += 1;
      const isOver =
        !policy.isTransient(error) || consecutiveFailures >= settings.maxConsecutiveFailures;
      if (isOver) giveUp(fault("poll", pollFailed(tracked.name, error)));
    },
  });
  return stop;
}

/** The error that the final state of an operation stands for, as an exception. */
export function errorOfFinal(
  snapshot: Exclude<FinalSnapshot, { kind: "succeeded" }>,
  report: WaitReport,
): OperationError {
  const { kind, error } = snapshot;
  const isOtherType = standardDetailsOf(error).errorInfo?.reason === "UNEXPECTED_TYPE";
  return new OperationError(
    kind === "malformed" && isOtherType ? "unexpected-type" : kind,
    error,
    report,
  );
}

/** Ask for the cancellation, as far as that goes: what comes of it is not waited for. */
async function askToCancel({ core, name }: Pick<TrackedOperation, "core" | "name">): Promise<void> {
  const { calls, settings } = core;
  const never = new AbortController().signal;
  await callWithin(calls.clock, settings.pollTimeoutMs, never, (signal) =>
    calls.rpc.cancelOperation({ name }, routed(name, { signal })),
  ).catch(() => undefined);
}

/** Calls `onProgress`, whose errors do not reach the wait. */
function createListener<Response, Metadata>({
  onProgress,
  onListenerError = (error) => console.error("connect-longrunning: onProgress threw", error),
}: WaitOptions<Response, Metadata>): (snapshot: Snapshot<Response, Metadata>) => void {
  let hasThrown = false;
  return (snapshot) => {
    try {
      onProgress?.(snapshot);
    } catch (error) {
      if (hasThrown) return;
      hasThrown = true;
      observe(onListenerError, (tell) => tell(error));
    }
  };
}

/** Tell an observer, or whoever else, whose errors do not reach the wait. */
function observe<T, Answer>(observer: T | undefined, tell: (to: T) => Answer): Answer | undefined {
  try {
    return observer && tell(observer);
  } catch {
    return undefined;
  }
}

function timedOut(name: string, limit: string, limitMs: number, polls: number): ConnectError {
  const what = limit === "stallMs" ? "has not changed for" : "is not done after";
  return errorWithInfo(
    Code.DeadlineExceeded,
    `operation "${name}" ${what} ${limitMs} ms (${polls} polls)`,
    {
      reason: "WAIT_TIMED_OUT",
      metadata: { name, limit, limitMs: String(limitMs), polls: String(polls) },
    },
  );
}

/** The error of a wait that could not look: that of the last look, which is also its cause. */
function pollFailed(name: string, error: ConnectError): ConnectError {
  const message = `operation "${name}" could not be looked at: ${error.rawMessage}`;
  const failed = new ConnectError(message, error.code, error.metadata, undefined, error);
  failed.details = error.details;
  return failed;
}
