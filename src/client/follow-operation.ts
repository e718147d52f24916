import { ConnectError } from "@connectrpc/connect";
import { callWithin } from "../internal/call-within.js";
import { onAbort } from "../internal/on-abort.js";
import { tell } from "../internal/tell.js";
import { fullName } from "../operation/long-running.js";
import { ErrorInfoSchema } from "../protos.js";
import { deletedHere, waitAborted, waitTimedOut } from "./errors.js";
import { notNeeded } from "./not-needed.js";
import { OperationError, type WaitReport } from "./operation-error.js";
import type { OperationPoller } from "./operation-poller.js";
import { createPollStats } from "./poll-stats.js";
import { withRetries } from "./retries.js";
import type { FinalSnapshot, Snapshot } from "./snapshot.js";
import { type ClientCore, lastCallMs, type TrackedOperation } from "./tracked-operation.js";
import { type WaitOptions, waitLimits } from "./wait-options.js";

/** The events of a wait. No event comes after `done` or `gaveUp`. */
export interface FollowEvents<Response, Metadata> {
  /** Called after each poll with its state, even an unchanged one. Not called for the final state. */
  polled(snapshot: Snapshot<Response, Metadata>): void;
  /** Called when the operation is done. */
  done(snapshot: FinalSnapshot<Response, Metadata>, report: WaitReport): void;
  /** Called when the wait has failed. The operation may still be running. */
  gaveUp(error: unknown): void;
}

/** A wait in progress. */
export interface Following {
  /** Ends the wait without an event. */
  stop(): void;
  /**
   * Polls at once, for at most `limitMs` milliseconds, which may end the wait. Resolves with whether
   * the poll succeeded.
   */
  pollNow(limitMs: number): Promise<boolean>;
  /** Aborts when the wait has ended. */
  readonly ended: AbortSignal;
}

/**
 * Follows an operation until it is done, with the limits of one wait. Calls at most one of the
 * events that end the wait, and none before it has returned.
 *
 * @param wantsProgress Whether states before the final one matter.
 * @throws RangeError if an option is out of bounds.
 */
export function followOperation<Response, Metadata>(
  tracked: TrackedOperation<Response, Metadata>,
  options: WaitOptions<Response, Metadata>,
  wantsProgress: boolean,
  events: FollowEvents<Response, Metadata>,
): Following {
  const { calls, settings } = tracked.core;
  const { clock } = calls;
  const { signal } = options;
  const { policy, timeoutMs, stallMs } = waitLimits(options, settings);
  const stats = createPollStats(tracked, policy);
  const ended = new AbortController();
  let poller: OperationPoller | undefined;
  let pausedBeforeMs = 0;
  let latest = tracked.snapshot();
  /** Removes the poll loop's follower, the timers and the signal's listener. */
  const cleanUps: (() => void)[] = [];

  const end = (error: ConnectError | undefined, then: () => void) => {
    if (ended.signal.aborted) return;
    ended.abort(notNeeded);
    for (const cleanUp of cleanUps) cleanUp();
    endStall();
    const snapshot = tracked.snapshot() as Snapshot;
    const done = snapshot.kind !== "running";
    const elapsedMs = stats.elapsedMs();
    const cost = {
      polls: stats.polls(),
      elapsedMs,
      pausedMs: (poller?.pausedMs() ?? 0) - pausedBeforeMs,
      overshootMs: done ? Math.min(poller?.lastPauseMs() ?? 0, elapsedMs) : 0,
    };
    tell(observation, (to) => to.ended?.({ done, snapshot, error, ...cost }));
    then();
  };
  const giveUp = (error: OperationError) => end(error, () => events.gaveUp(error));
  /** Ends the wait with an exception of the caller's poll policy. */
  const giveUpBy = (thrown: unknown) => end(ConnectError.from(thrown), () => events.gaveUp(thrown));
  const finish = (snapshot: FinalSnapshot<Response, Metadata>) => {
    const error = snapshot.kind === "succeeded" ? undefined : snapshot.error;
    end(error, () => events.done(snapshot, stats.report()));
  };
  const aborted = () => {
    const error = waitAborted(`operation "${tracked.name}"`, signal?.reason);
    giveUp(stats.fault("aborted", error));
  };
  const onDeleted = () => giveUp(stats.fault("gone", deletedHere(tracked.name)));
  const onFailed = (error: ConnectError) => {
    tell(observation, (to) => to.polled?.({ error }));
    let fault: OperationError | undefined;
    try {
      fault = stats.recordFailure(error);
    } catch (thrown) {
      giveUpBy(thrown);
      return;
    }
    const known = tracked.snapshot();
    // Another poll may have seen the final state in the meantime.
    if (known.kind !== "running") finish(known);
    else if (fault !== undefined) giveUp(fault);
  };
  const pollNow = async (limitMs: number) => {
    const error = await poller?.pollNow(ended.signal, limitMs);
    if (error !== undefined) onFailed(error);
    return error === undefined;
  };

  const outOfTime = async (limit: "timeoutMs" | "stallMs", limitMs: number) => {
    await pollNow(lastCallMs(tracked.core));
    if (ended.signal.aborted) return;
    // A change in the last poll has restarted the time of stallMs.
    if (limit === "stallMs" && !stalled) return;
    const { core, name } = tracked;
    if (options.onTimeout === "cancel") {
      const cancelling = requestCancellation(core, name, ended.signal, 1, lastCallMs(core));
      await cancelling.catch(() => undefined);
    }
    const polls = stats.polls();
    const what = limit === "stallMs" ? "has not changed for" : "is not done after";
    const message = `operation "${name}" ${what} ${limitMs} ms (${polls} polls)`;
    const metadata = { name, limit, limitMs: String(limitMs), polls: String(polls) };
    giveUp(stats.fault("timeout", waitTimedOut(message, metadata)));
  };
  let stalled = false;
  let endStall: () => void = () => undefined;
  const watchStall = () => {
    endStall();
    stalled = false;
    if (stallMs === undefined) return;
    endStall = clock.schedule(stallMs, () => {
      stalled = true;
      void outOfTime("stallMs", stallMs);
    });
  };

  const observation = tell(settings.observer, (to) =>
    to.waitStarted?.({
      operationName: tracked.name,
      method: fullName(tracked.method.method),
      link: tracked.link,
    }),
  );
  const listener = createListener(options);
  const following = {
    stop: () => end(undefined, () => undefined),
    pollNow,
    ended: ended.signal,
  };

  if (signal?.aborted) {
    queueMicrotask(aborted);
    return following;
  }
  if (latest.kind !== "running") {
    const snapshot = latest;
    queueMicrotask(() => {
      listener(snapshot);
      finish(snapshot);
    });
    return following;
  }
  if (tracked.isDeleted()) {
    queueMicrotask(onDeleted);
    return following;
  }
  if (signal !== undefined) cleanUps.push(onAbort(signal, aborted));
  if (timeoutMs !== undefined) {
    cleanUps.push(clock.schedule(timeoutMs, () => void outOfTime("timeoutMs", timeoutMs)));
  }
  watchStall();
  poller = tracked.poller();
  pausedBeforeMs = poller.pausedMs();
  const leave = poller.join({
    wantsProgress: wantsProgress || options.onProgress !== undefined,
    notBeforeMs: tracked.notBeforeMs,
    delayMs() {
      try {
        return Math.max(policy.delayMs(stats.polls() + 1), 1) || 1;
      } catch (error) {
        queueMicrotask(() => giveUpBy(error));
        return settings.pollTimeoutMs;
      }
    },
    onPolled(operation) {
      stats.recordSuccess();
      const snapshot = tracked.onPolled(operation);
      tell(observation, (to) => to.polled?.({ operation }));
      if (snapshot !== latest) {
        latest = snapshot;
        watchStall();
        listener(snapshot);
      }
      if (snapshot.kind === "running") events.polled(snapshot);
      else finish(snapshot);
    },
    onFailedWait(error) {
      tell(observation, (to) => to.polled?.({ error }));
      stats.recordFailedWait(error);
    },
    onFailed,
    onDeleted,
  });
  cleanUps.push(leave);
  return following;
}

/** Returns the error that stands for a final state other than success. */
export function errorOfFinal(
  snapshot: Exclude<FinalSnapshot, { kind: "succeeded" }>,
  report: WaitReport,
): OperationError {
  const { kind, error } = snapshot;
  const [info] = error.findDetails(ErrorInfoSchema);
  const isOtherType = info?.reason === "UNEXPECTED_TYPE";
  return new OperationError(
    kind === "malformed" && isOtherType ? "unexpected-type" : kind,
    error,
    report,
  );
}

/**
 * Requests the cancellation. Each call is limited by `limitMs`, by default the `pollTimeoutMs`.
 *
 * @throws ConnectError of the last call.
 */
export function requestCancellation(
  core: ClientCore,
  name: string,
  ended: AbortSignal,
  maxTries: number,
  limitMs = core.settings.pollTimeoutMs,
): Promise<unknown> {
  const { calls, settings } = core;
  const { isTransient } = settings.poll;
  return withRetries(
    core,
    { maxTries, isRetryable: isTransient, timeoutMs: undefined, signal: ended },
    () =>
      callWithin(calls.clock, limitMs, ended, (signal) =>
        calls.rpc.cancelOperation({ name }, { signal, timeoutMs: limitMs }),
      ),
  );
}

/** Returns a function that calls `onProgress` and reports its first exception. */
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
      tell(onListenerError, (to) => to(error));
    }
  };
}
