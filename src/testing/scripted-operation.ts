import { create } from "@bufbuild/protobuf";
import { canceledBy } from "../internal/canceled-by.js";
import { type Clock, monotonicMs } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import { type Operation, OperationSchema } from "../protos.js";
import { cancelledByRequest, operationNotFound } from "../server/errors.js";
import { statusFromError } from "../status/status-error.js";
import { type CheckedScript, type Poll, scriptedError } from "./operation-script.js";

/** One operation of a scripted server. */
export interface ScriptedOperation {
  readonly name: string;
  /** Returns the response of the start. */
  start(): Operation;
  /** Answers GetOperation. @throws ConnectError of the script, `NotFound`, or the abort of `signal`. */
  get(signal: AbortSignal): Promise<Operation>;
  /** Answers WaitOperation, which holds the call for at most `timeoutMs` milliseconds. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<Operation>;
  /** Returns the operation in a list; undefined if it is lost or deleted. */
  listed(): Operation | undefined;
  /** @throws ConnectError of the script, `NotFound`, or as `sleep`. */
  cancel(signal: AbortSignal): Promise<void>;
  /** @throws ConnectError `NotFound` */
  delete(): void;
}

/** Begins an operation. Its times count from this call. */
export function beginOperation(
  name: string,
  script: CheckedScript,
  clock: Clock,
): ScriptedOperation {
  const startMs = monotonicMs(clock);
  /** The times at which the operation may end, in milliseconds since its start. */
  const endsMs = script.states
    .filter(({ operation }) => operation === undefined || operation.done)
    .map(({ afterMs }) => afterMs);
  /** Wakes the held WaitOperation calls at changes that do not depend on time. */
  const held = new Set<() => void>();
  let asked = 0;
  let answered = 0;
  let isDeleted = false;
  /** The time at which a request to cancel takes effect, and the operation from then on. */
  let cancelMs = Number.POSITIVE_INFINITY;
  let cancelled: Operation | undefined;

  const elapsedMs = () => monotonicMs(clock) - startMs;
  const wakeAll = () => {
    for (const wake of [...held]) wake();
  };

  /** Returns the scripted state after a number of answered polls and a time. */
  const scriptedAt = (polls: number, atMs: number): Operation | undefined =>
    script.states.findLast((state) => state.afterPolls <= polls && state.afterMs <= atMs)
      ?.operation;

  /** Returns the state with this poll; undefined if the operation is lost or deleted. */
  const stateAt = (polls: number, atMs: number): Operation | undefined => {
    if (isDeleted) return undefined;
    if (cancelled === undefined && elapsedMs() >= cancelMs) {
      const { metadata, done } = scriptedAt(answered, cancelMs) ?? { done: true };
      // The operation ended before the cancellation.
      if (done) cancelMs = Number.POSITIVE_INFINITY;
      else cancelled = cancelledOperation(metadata);
    }
    const scripted = scriptedAt(polls, atMs);
    // The server may also lose a cancelled operation.
    if (scripted === undefined || cancelled === undefined || atMs < cancelMs) return scripted;
    return cancelled;
  };

  /** Answers a poll, and counts it. */
  const answer = (atMs = elapsedMs()): Operation => {
    const state = stateAt(answered + 1, atMs);
    answered += 1;
    wakeAll();
    if (state === undefined) throw operationNotFound(name);
    return named(state);
  };
  const named = (state: Operation) =>
    create(OperationSchema, { ...state, name: state.name || name });

  /** Resolves when the operation may have changed, at the latest after `delayMs`. */
  const changed = (delayMs: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      if (signal.aborted) {
        reject(canceledBy(signal));
        return;
      }
      const leave = () => {
        unschedule();
        held.delete(wake);
        signal.removeEventListener("abort", onAbort);
      };
      const wake = () => {
        leave();
        resolve();
      };
      const onAbort = () => {
        leave();
        reject(canceledBy(signal));
      };
      const unschedule = clock.schedule(delayMs, wake);
      held.add(wake);
      signal.addEventListener("abort", onAbort, { once: true });
    });

  /** Resolves when the next poll finds the operation done or lost, at the latest at `untilMs`. */
  const hold = async (untilMs: number, signal: AbortSignal) => {
    for (let nowMs = elapsedMs(); nowMs < untilMs; nowMs = elapsedMs()) {
      const state = stateAt(answered + 1, nowMs);
      if (state === undefined || state.done) return;
      const times = [...endsMs, cancelMs, untilMs];
      const nextMs = Math.min(...times.filter((atMs) => atMs > nowMs));
      await changed(nextMs - nowMs, signal);
    }
  };

  const poll = async (
    method: Poll["method"],
    heldMs: number,
    signal: AbortSignal,
  ): Promise<Operation> => {
    asked += 1;
    const does = script.pollScriptAt({ method, number: asked, elapsedMs: elapsedMs() });
    if (does === "hang") return hang(signal);
    if (typeof does === "object") {
      if ("fails" in does) throw scriptedError(does.fails);
      if ("lagMs" in does) return answer(Math.max(0, elapsedMs() - does.lagMs));
      await sleep(clock, does.delayMs, signal);
    }
    if (does === "answer") await hold(elapsedMs() + heldMs, signal);
    return answer();
  };

  return {
    name,
    start: () => named(scriptedAt(0, 0) ?? create(OperationSchema)),
    get: (signal) => poll("GetOperation", 0, signal),
    wait: (timeoutMs, signal) => poll("WaitOperation", timeoutMs, signal),
    listed: () => (stateAt(answered + 1, elapsedMs()) === undefined ? undefined : answer()),
    async cancel(signal) {
      const state = stateAt(answered, elapsedMs());
      if (state === undefined) throw operationNotFound(name);
      const { cancel } = script;
      if (cancel === "hang") return hang(signal);
      if (typeof cancel === "object" && "fails" in cancel) throw scriptedError(cancel.fails);
      if (cancel === "ignored" || state.done) return;
      const delayMs = cancel === "honoured" ? 0 : cancel.delayMs;
      // A second cancellation request does not delay the end.
      cancelMs = Math.min(cancelMs, elapsedMs() + delayMs);
      wakeAll();
    },
    delete() {
      if (stateAt(answered, elapsedMs()) === undefined) throw operationNotFound(name);
      isDeleted = true;
      wakeAll();
    },
  };
}

/** Never resolves. @throws ConnectError `Code.Canceled`, or the reason of the abort. */
export function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(canceledBy(signal));
    else signal.addEventListener("abort", () => reject(canceledBy(signal)), { once: true });
  });
}

function cancelledOperation(metadata: Operation["metadata"]): Operation {
  const value = statusFromError(cancelledByRequest());
  return create(OperationSchema, { metadata, done: true, result: { case: "error", value } });
}
