import { Code, ConnectError } from "@connectrpc/connect";
import { callWithin } from "../internal/call-within.js";
import { tell } from "../internal/tell.js";
import { fullName } from "../operation/long-running.js";
import { ErrorInfoSchema } from "../protos.js";
import { errorWithInfo } from "../status/error-info.js";
import { createLookTally, waitAborted } from "./look-tally.js";
import { notNeeded } from "./not-needed.js";
import { OperationError, type WaitReport } from "./operation-error.js";
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
  const tally = createLookTally(tracked, policy);
  const ended = new AbortController();
  let poller: OperationPoller | undefined;
  let pausedBeforeMs = 0;
  let latest = tracked.snapshot();
  let leave: () => void = () => undefined;
  let endTimeout: () => void = () => undefined;
  let endStall: () => void = () => undefined;

  const cleanUp = () => {
    ended.abort(notNeeded);
    leave();
    endTimeout();
    endStall();
    signal?.removeEventListener("abort", onAbort);
  };
  const end = (error: ConnectError | undefined, then: () => void) => {
    if (ended.signal.aborted) return;
    cleanUp();
    const snapshot = tracked.snapshot() as Snapshot;
    const done = snapshot.kind !== "running";
    const elapsedMs = tally.elapsedMs();
    const cost = {
      polls: tally.polls(),
      elapsedMs,
      pausedMs: (poller?.pausedMs() ?? 0) - pausedBeforeMs,
      overshootMs: done ? Math.min(poller?.lastPauseMs() ?? 0, elapsedMs) : 0,
    };
    tell(observation, (to) => to.ended?.({ done, snapshot, error, ...cost }));
    then();
  };
  const stop = () => end(undefined, () => undefined);
  const giveUp = (error: OperationError) => end(error, () => events.gaveUp(error));
  /** A caller's own policy is at fault, and its caller hears of it. */
  const giveUpBy = (thrown: unknown) => end(ConnectError.from(thrown), () => events.gaveUp(thrown));
  const finish = (snapshot: FinalSnapshot<Response, Metadata>) => {
    const error = snapshot.kind === "succeeded" ? undefined : snapshot.error;
    end(error, () => events.done(snapshot, tally.report()));
  };
  const onAbort = () => {
    const error = waitAborted(`operation "${tracked.name}"`, signal?.reason);
    giveUp(tally.fault("aborted", error));
  };

  const outOfTime = async (limit: "timeoutMs" | "stallMs", limitMs: number) => {
    await poller?.lookNow(ended.signal);
    if (ended.signal.aborted) return;
    // A change that the last look showed has started the clock of stallMs anew.
    if (limit === "stallMs" && !stalled) return;
    if (options.onTimeout === "cancel") await askToCancel(tracked, ended.signal);
    giveUp(tally.fault("timeout", timedOut(tracked.name, limit, limitMs, tally.polls())));
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

  const observation = tell(settings.observer, (to) =>
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
        return Math.max(policy.delayMs(tally.polls() + 1), 1) || 1;
      } catch (error) {
        queueMicrotask(() => giveUpBy(error));
        return settings.pollTimeoutMs;
      }
    },
    see(operation) {
      tally.seen();
      const snapshot = tracked.see(operation);
      tell(observation, (to) => to.polled?.({ operation }));
      if (snapshot !== latest) {
        latest = snapshot;
        watchStall();
        listener(snapshot);
      }
      if (snapshot.kind === "running") events.looked(snapshot);
      else finish(snapshot);
    },
    fail(error) {
      tell(observation, (to) => to.polled?.({ error }));
      let fault: OperationError | undefined;
      try {
        fault = tally.failed(error);
      } catch (thrown) {
        giveUpBy(thrown);
        return;
      }
      const known = tracked.snapshot();
      // Another look may have seen the end in the meantime.
      if (known.kind !== "running") finish(known);
      else if (fault !== undefined) giveUp(fault);
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
  const [info] = error.findDetails(ErrorInfoSchema);
  const isOtherType = info?.reason === "UNEXPECTED_TYPE";
  return new OperationError(
    kind === "malformed" && isOtherType ? "unexpected-type" : kind,
    error,
    report,
  );
}

/**
 * Ask for the cancellation, as far as that goes: what comes of it is not waited for, and
 * a wait that has ended in the meantime (`ended`) asks no more.
 */
async function askToCancel(
  { core, name }: Pick<TrackedOperation, "core" | "name">,
  ended: AbortSignal,
): Promise<void> {
  const { calls, settings } = core;
  await callWithin(calls.clock, settings.pollTimeoutMs, ended, (signal) =>
    calls.rpc.cancelOperation({ name }, { signal }),
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
      tell(onListenerError, (to) => to(error));
    }
  };
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
