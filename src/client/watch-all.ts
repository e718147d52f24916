import { ConnectError } from "@connectrpc/connect";
import { onAbort } from "../internal/on-abort.js";
import type { Operation } from "../protos.js";
import { type ClientRounds, createClientRounds } from "./client-rounds.js";
import { deletedHere, waitAborted, waitTimedOut } from "./errors.js";
import type { Filter } from "./filter.js";
import type { BatchMember } from "./operation-batch.js";
import type { OperationError } from "./operation-error.js";
import type { OperationHandle } from "./operation-handle.js";
import type { BackoffOptions, PollPolicy } from "./poll-policy.js";
import type { Snapshot } from "./snapshot.js";
import { type ClientCore, type TrackedOperation, trackedByHandle } from "./tracked-operation.js";
import { waitLimits } from "./wait-options.js";
import { WaitRecord } from "./wait-record.js";

/** Options of `watchAll`. All fields are optional. */
export interface WatchAllOptions {
  /**
   * Ends the iteration at once with an OperationError of kind `aborted`. The operations keep running
   * on the server.
   */
  signal?: AbortSignal | undefined;
  /**
   * Time limit of the iteration. When it expires, the client polls once more, for at most 1 s; if an
   * operation is still running, the iteration throws an OperationError of kind `timeout`. In
   * milliseconds. Default: no limit.
   */
  timeoutMs?: number | undefined;
  /** Poll policy. Default: that of the handles' client. */
  poll?: PollPolicy | BackoffOptions | undefined;
  /**
   * Filter of the list requests (AIP-160), for parents with many other operations. Reduces traffic
   * only: operations that the filter hides are polled individually. Default: no filter.
   */
  filter?: string | Filter | undefined;
}

/**
 * A state of one of many operations, or the error that ended its polling. An operation has no update
 * after its final state or its error.
 */
export type OperationUpdate<H extends OperationHandle<unknown, unknown>> =
  | {
      readonly handle: H;
      /** The state. */
      readonly snapshot: H["snapshot"];
      readonly error?: undefined;
    }
  | {
      readonly handle: H;
      /**
       * Kind `gone`: the server does not have the operation. Kind `poll`: polling failed; the handle
       * can be used again.
       */
      readonly error: OperationError;
      readonly snapshot?: undefined;
    };

/**
 * Follows many operations with few requests until all are done. Yields their current states first,
 * then each new state, and always the final one. A slow consumer skips states in between. An
 * operation that fails is an update too, and the others go on. The handles record the states, so
 * that `snapshot` and `result()` settle from memory afterwards. They may be of different methods and
 * clients. `break` stops the polling.
 *
 * The operations of a client are polled in rounds, after the delays of a single wait by GetOperation,
 * with at most 10 requests at once:
 *
 * - A parent with two or more of them is listed, by pages of 1000, until all of them were on a page,
 *   as long as that costs fewer requests than single polls. A page counts as one request, and so do
 *   100 operations on its pages. After a list that cost more, ten rounds poll individually.
 * - Operations that a list did not show are polled by GetOperation. So are all operations of a server
 *   whose ListOperations responds with UNIMPLEMENTED, which the client remembers, or with another
 *   permanent error, such as PERMISSION_DENIED; and in one round after three consecutive failed lists.
 * - Transient errors are tolerated as in single waits, counted for each operation. A filter that the
 *   server rejects with INVALID_ARGUMENT is an error of the operations.
 *
 * @throws TypeError if a handle was not made by a client of this package.
 * @throws RangeError if an option is out of bounds, with its name.
 * @throws OperationError of kind `timeout` or `aborted`, from the iteration. It names the first
 *   operation that is not done.
 * @example
 * for await (const { handle, snapshot, error } of watchAll(handles)) {
 *   if (error !== undefined) console.error(handle.name, error.message);
 *   else if (snapshot.kind !== "running") console.log(handle.name, snapshot.kind);
 * }
 */
export function watchAll<H extends OperationHandle<unknown, unknown>>(
  handles: Iterable<H>,
  options: WatchAllOptions = {},
): AsyncIterable<OperationUpdate<H>> {
  const tracked = new Map<H, TrackedOperation<unknown, unknown>>();
  for (const handle of handles) {
    const inside = trackedByHandle(handle);
    if (inside === undefined) {
      throw new TypeError(`no client of this package made the handle of "${handle.name}"`);
    }
    // Validated here so that `watchAll()` throws, not the first iteration.
    waitLimits(options, inside.core.settings);
    tracked.set(handle, inside);
  }
  return { [Symbol.asyncIterator]: () => followAll(tracked, options) };
}

/** An operation that is followed. */
interface Followed<H extends OperationHandle<unknown, unknown>> extends BatchMember {
  readonly record: WaitRecord;
  /** Returns the updates to yield, once. */
  take(): OperationUpdate<H>[];
  /** Called when the iteration has ended. */
  leave(error: unknown): void;
}

function followAll<H extends OperationHandle<unknown, unknown>>(
  handles: ReadonlyMap<H, TrackedOperation<unknown, unknown>>,
  options: WatchAllOptions,
): AsyncIterator<OperationUpdate<H>, void> {
  const left = new AbortController();
  const updates = updatesOf(handles, options, left.signal);
  return {
    next: () => updates.next(),
    // An async generator's `return` would wait for the pending update.
    return() {
      left.abort();
      return updates.return();
    },
  };
}

async function* updatesOf<H extends OperationHandle<unknown, unknown>>(
  handles: ReadonlyMap<H, TrackedOperation<unknown, unknown>>,
  options: WatchAllOptions,
  left: AbortSignal,
): AsyncGenerator<OperationUpdate<H>, void> {
  const { signal } = options;
  const filter = String(options.filter ?? "");
  /** Operations with updates to yield, the oldest update first. */
  const changed = new Set<Followed<H>>();
  const over = new AbortController();
  let failure: { error: unknown } | undefined;
  let wake: () => void = () => undefined;

  const clients = new Map<ClientCore, ClientRounds>();
  const followed = [...handles].map(([handle, tracked]) => {
    const { core } = tracked;
    const client =
      clients.get(core) ?? createClientRounds(core, waitLimits(options, core.settings));
    clients.set(core, client);
    const member: Followed<H> = follow(handle, tracked, client, () => {
      changed.add(member);
      wake();
    });
    client.add(member);
    changed.add(member);
    return member;
  });

  const end = (error?: unknown) => {
    if (over.signal.aborted) return;
    if (error !== undefined) failure = { error };
    forget?.();
    left.removeEventListener("abort", onLeft);
    over.abort();
    for (const member of followed) member.leave(error);
    wake();
  };
  const onLeft = () => {
    changed.clear();
    end();
  };
  const openOnes = () => followed.filter((member) => member.isOpen());
  const aborted = () => {
    const open = openOnes();
    // A caller that aborts wants no further updates.
    if (open.length > 0) changed.clear();
    end(open[0]?.record.fault("aborted", waitAborted(named(open), signal?.reason)));
  };
  /** Called when the rounds of all clients have ended, by their operations or by the time limit. */
  const onEnd = () => {
    const open = openOnes();
    end(open[0]?.record.fault("timeout", timedOut(open, options.timeoutMs)));
  };

  left.addEventListener("abort", onLeft, { once: true });
  const forget = signal?.aborted ? undefined : signal && onAbort(signal, aborted);
  if (signal?.aborted) aborted();
  Promise.all([...clients.values()].map((client) => client.run(filter, over.signal))).then(
    onEnd,
    end,
  );
  try {
    for (;;) {
      for (const member of changed) {
        changed.delete(member);
        yield* member.take();
      }
      if (failure !== undefined) throw failure.error;
      if (over.signal.aborted) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    end();
  }
}

function follow<H extends OperationHandle<unknown, unknown>>(
  handle: H,
  tracked: TrackedOperation<unknown, unknown>,
  client: ClientRounds,
  changed: () => void,
): Followed<H> {
  const record = new WaitRecord(tracked, client.policy);
  let latest = tracked.snapshot();
  let pending: OperationUpdate<H>[] = [{ handle, snapshot: latest }];
  let isOpen = true;

  const close = (error: unknown) => {
    if (!isOpen) return;
    isOpen = false;
    const ended = error === undefined ? undefined : ConnectError.from(error);
    record.ended(ended, client.pausedMs(), client.lastPauseMs());
  };
  const note = (snapshot: Snapshot<unknown, unknown>) => {
    if (snapshot !== latest) {
      latest = snapshot;
      // A slow consumer gets only the latest state.
      pending = [{ handle, snapshot }];
      changed();
    }
    if (latest.kind !== "running") close("error" in latest ? latest.error : undefined);
  };
  note(latest);
  const giveUp = (error: OperationError) => {
    pending.push({ handle, error });
    changed();
    close(error);
  };

  return {
    name: tracked.name,
    record,
    notBeforeMs: tracked.notBeforeMs,
    mayLag: tracked.mayLag,
    isOpen() {
      // Another wait of the handle may have polled the final state, or the handle deleted it.
      if (isOpen) note(tracked.snapshot());
      if (isOpen && tracked.isDeleted()) giveUp(record.fault("gone", deletedHere(tracked.name)));
      return isOpen;
    },
    onPolled(operation: Operation) {
      const snapshot = tracked.onPolled(operation);
      record.recordSuccess(operation);
      note(snapshot);
    },
    onFailed(failure: ConnectError) {
      const error = record.recordFailure(failure);
      note(tracked.snapshot());
      if (error !== undefined && isOpen) giveUp(error);
    },
    take() {
      const updates = pending;
      pending = [];
      return updates;
    },
    leave: close,
  };
}

/** Names the operations in a message. */
function named(open: readonly BatchMember[]): string {
  const [first] = open;
  if (first === undefined) return "no operation";
  const name = `operation "${first.name}"`;
  if (open.length === 1) return name;
  return `${name} and ${open.length - 1} other${open.length === 2 ? "" : "s"}`;
}

function timedOut(open: readonly BatchMember[], limitMs: number | undefined): ConnectError {
  const is = open.length === 1 ? "is" : "are";
  return waitTimedOut(`${named(open)} ${is} not done after ${limitMs} ms`, {
    name: open[0]?.name ?? "",
    limit: "timeoutMs",
    limitMs: String(limitMs),
    unfinished: String(open.length),
  });
}
