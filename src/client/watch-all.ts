import { Code, ConnectError } from "@connectrpc/connect";
import { tell } from "../internal/tell.js";
import { fullName } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import { errorWithInfo } from "../status/error-info.js";
import { type ClientRounds, createClientRounds } from "./client-rounds.js";
import type { Filter } from "./filter.js";
import { createLookTally, type LookTally, waitAborted } from "./look-tally.js";
import type { BatchMember } from "./operation-batch.js";
import type { OperationError } from "./operation-error.js";
import type { OperationHandle } from "./operation-handle.js";
import type { BackoffOptions, PollPolicy } from "./poll-policy.js";
import type { Snapshot } from "./snapshot.js";
import { type ClientCore, type TrackedOperation, trackedOf } from "./tracked-operation.js";
import { waitLimits } from "./wait-options.js";

/** How to follow many operations. Every field may be left out. */
export interface WatchAllOptions {
  /**
   * Stops the following, at once, with an OperationError of kind `aborted`. The
   * operations keep running on the server.
   */
  signal?: AbortSignal | undefined;
  /**
   * Longest time to follow them, in milliseconds. When it is over there is one last
   * look, and then an OperationError of kind `timeout`. Default: without end.
   */
  timeoutMs?: number | undefined;
  /** When to look again. Default: the policy of the handles' client. */
  poll?: PollPolicy | BackoffOptions | undefined;
  /**
   * Which operations the lists show (AIP-160), for parents with many others; the
   * `filter` tag makes one. It saves work and changes no outcome: what the lists do not
   * show is looked at one by one. Default: all of a parent.
   */
  filter?: string | Filter | undefined;
}

/**
 * What became of one of many operations: a state, or the error by which it could not be
 * followed any further. Nothing comes of it after its final state or its error.
 */
export type OperationUpdate<H extends OperationHandle<unknown, unknown>> =
  | {
      readonly handle: H;
      /** The state that it was seen in. */
      readonly snapshot: H["snapshot"];
      readonly error?: undefined;
    }
  | {
      readonly handle: H;
      /**
       * `gone`: the server does not know it any more. `poll`: asking for it failed, for
       * good or too often; the handle can be used on.
       */
      readonly error: OperationError;
      readonly snapshot?: undefined;
    };

/**
 * Follow many operations with few requests, to the end of them all: one list of a parent
 * shows up to a thousand. Yields their present states first, then each state as it is
 * seen, the final one always; whoever takes them slowly misses those between. What one of
 * them ends with is an update as well, and the others go on. The handles take note of all
 * that is seen, so that `snapshot` and `result()` settle from memory afterwards. They may
 * be of different methods and clients. `break` stops the looking.
 *
 * All operations of a client are looked at in rounds, after delays as for a single wait by
 * GetOperation, with at most 10 requests at once:
 *
 * - A parent with two or more of them is listed, by pages of 1000, until all were seen,
 *   and no longer than that is cheaper than single looks: a page counts as one request, and
 *   so do 100 operations on its pages. Where a list was dearer, ten rounds do without.
 * - What a list did not show is looked at by GetOperation. So is everything at a server
 *   whose ListOperations is UNIMPLEMENTED, which its client remembers, or fails for good,
 *   as by PERMISSION_DENIED; and in one round after three lists that failed in a row.
 * - Failures that may pass are borne as by single waits, each operation counting its own. A
 *   filter that the server calls INVALID_ARGUMENT is an error of the operations.
 *
 * @throws TypeError for a handle that no client of this package made.
 * @throws RangeError for an option out of its bounds, naming it.
 * @throws OperationError of kind `timeout` or `aborted`, from the iteration. It names the
 *   first operation that is not done.
 */
export function watchAll<H extends OperationHandle<unknown, unknown>>(
  handles: Iterable<H>,
  options: WatchAllOptions = {},
): AsyncIterable<OperationUpdate<H>> {
  const tracked = new Map<H, TrackedOperation<unknown, unknown>>();
  for (const handle of handles) {
    const inside = trackedOf(handle);
    if (inside === undefined) {
      throw new TypeError(`the handle of "${handle.name}" is of no client of this package`);
    }
    // Here, so that it is the call that a bad option fails and not the first step.
    waitLimits(options, inside.core.settings);
    tracked.set(handle, inside);
  }
  return { [Symbol.asyncIterator]: () => followAll(tracked, options) };
}

/** One operation that is followed. */
interface Followed<H extends OperationHandle<unknown, unknown>> extends BatchMember {
  readonly tally: LookTally;
  /** What there is to yield of it, once. */
  take(): OperationUpdate<H>[];
  /** Nobody follows it any more. */
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
    // A generator that waits for its next update would return only when that has come.
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
  /** Those with something to yield, the longest unheard first. */
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
    signal?.removeEventListener("abort", onAbort);
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
  const onAbort = () => {
    const open = openOnes();
    // Whoever aborts what is under way does not want to hear any more.
    if (open.length > 0) changed.clear();
    end(open[0]?.tally.fault("aborted", waitAborted(named(open), signal?.reason)));
  };
  /** All clients have come to an end: of their operations, or of the time. */
  const onEnd = () => {
    const open = openOnes();
    end(open[0]?.tally.fault("timeout", timedOut(open, options.timeoutMs)));
  };

  left.addEventListener("abort", onLeft, { once: true });
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
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
  const tally = createLookTally(tracked, client.policy);
  const { observer } = tracked.core.settings;
  let latest = tracked.snapshot();
  let pending: OperationUpdate<H>[] = [{ handle, snapshot: latest }];
  let isOpen = true;
  const observation = tell(observer, (to) =>
    to.waitStarted?.({
      operationName: tracked.name,
      method: fullName(tracked.method.method),
      link: tracked.link,
    }),
  );

  const close = (error: unknown) => {
    if (!isOpen) return;
    isOpen = false;
    const done = latest.kind !== "running";
    tell(observation, (to) =>
      to.ended?.({
        done,
        snapshot: latest as Snapshot,
        error: error === undefined ? undefined : ConnectError.from(error),
        polls: tally.polls(),
        elapsedMs: tally.elapsedMs(),
        pausedMs: client.pausedMs(),
        overshootMs: done && tally.polls() > 0 ? client.lastPauseMs() : 0,
      }),
    );
  };
  const note = (snapshot: Snapshot<unknown, unknown>) => {
    if (snapshot !== latest) {
      latest = snapshot;
      // Whoever is slow gets the latest state.
      pending = [{ handle, snapshot }];
      changed();
    }
    if (latest.kind !== "running") close("error" in latest ? latest.error : undefined);
  };
  note(latest);

  return {
    name: tracked.name,
    tally,
    mayLag: tracked.mayLag,
    isOpen() {
      // Others may have seen the end in the meantime.
      if (isOpen) note(tracked.snapshot());
      return isOpen;
    },
    see(operation: Operation) {
      tally.seen();
      tell(observation, (to) => to.polled?.({ operation }));
      note(tracked.see(operation));
    },
    fail(failure: ConnectError) {
      const error = tally.failed(failure);
      tell(observation, (to) => to.polled?.({ error: failure }));
      note(tracked.snapshot());
      if (error === undefined || !isOpen) return;
      pending.push({ handle, error });
      changed();
      close(error);
    },
    take() {
      const updates = pending;
      pending = [];
      return updates;
    },
    leave: close,
  };
}

/** Operations, as a message speaks of them. */
function named(open: readonly BatchMember[]): string {
  const [first] = open;
  if (first === undefined) return "no operation";
  const name = `operation "${first.name}"`;
  if (open.length === 1) return name;
  return `${name} and ${open.length - 1} other${open.length === 2 ? "" : "s"}`;
}

function timedOut(open: readonly BatchMember[], limitMs: number | undefined): ConnectError {
  const [first] = open;
  const is = open.length === 1 ? "is" : "are";
  return errorWithInfo(Code.DeadlineExceeded, `${named(open)} ${is} not done after ${limitMs} ms`, {
    reason: "WAIT_TIMED_OUT",
    metadata: {
      name: first?.name ?? "",
      limit: "timeoutMs",
      limitMs: String(limitMs),
      unfinished: String(open.length),
    },
  });
}
