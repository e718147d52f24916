import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import { monotonicMs } from "../internal/clock.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import type { ClientSettings } from "./client-options.js";
import type { OperationCalls } from "./operation-calls.js";
import { createOperationPoller, type OperationPoller } from "./operation-poller.js";
import { createResumeToken, type ResumeToken } from "./resume-token.js";
import { isSameState, type Snapshot, snapshotOf } from "./snapshot.js";

/** The state that all handles of one client share. */
export interface ClientCore {
  readonly calls: OperationCalls;
  readonly settings: ClientSettings;
  /** The poll loops that have followers, by the operation's name. */
  readonly pollers: Map<string, OperationPoller>;
}

/** The origin of a handle. */
export interface HandleOrigin {
  /** Whether this client has just started the operation. Default: false, it was resumed. */
  readonly startedHere?: boolean;
  /** The AIP-155 request id of the start; undefined if the method has no request ids. */
  readonly requestId: string | undefined;
  /** The value that the observer returned for the start. */
  readonly link?: unknown;
  /** The `Retry-After` of the response that showed the operation, in milliseconds. Default: 0. */
  readonly retryAfterMs?: number;
}

/** The state of one handle. */
export interface TrackedOperation<Response = Message, Metadata = Message> {
  readonly core: ClientCore;
  readonly method: LongRunningMethod;
  readonly name: string;
  readonly resumeToken: ResumeToken;
  readonly link: unknown;
  /** The server asked for no poll before this monotonic time, in milliseconds. */
  readonly notBeforeMs: number;
  /** The latest state. */
  snapshot(): Snapshot<Response, Metadata>;
  /**
   * Records a successful poll. The same state returns the same snapshot, and a final state is never
   * replaced.
   */
  onPolled(operation: Operation): Snapshot<Response, Metadata>;
  /** Whether NOT_FOUND may come from a replica that does not have the operation yet. */
  mayLag(): boolean;
  /** Records that this handle has deleted the operation. */
  onDeleted(): void;
  isDeleted(): boolean;
  /** Returns the poll loop of this operation's name. */
  poller(): OperationPoller;
}

export function trackOperation<R extends DescMessage, M extends DescMessage>(
  core: ClientCore,
  method: LongRunningMethod<DescMessage, R, M>,
  first: Operation,
  origin: HandleOrigin,
): TrackedOperation<MessageShape<R>, MessageShape<M>> {
  const { calls, settings, pollers } = core;
  const { name } = first;
  const nowMs = monotonicMs(calls.clock);
  /** Until when NOT_FOUND is tolerated, by the monotonic time. */
  let lagUntilMs = origin.startedHere ? nowMs + settings.notFoundGraceMs : 0;
  let snapshot = snapshotOf(first, method, settings.outcome);
  let isDeleted = false;
  return {
    core,
    method,
    name,
    resumeToken: createResumeToken(method, name, origin.requestId),
    link: origin.link,
    notBeforeMs: nowMs + (origin.retryAfterMs ?? 0),
    snapshot: () => snapshot,
    onPolled(operation) {
      lagUntilMs = 0;
      // A lagging replica may return an older state.
      if (snapshot.kind === "running" && !isSameState(snapshot.operation, operation)) {
        snapshot = snapshotOf(operation, method, settings.outcome);
      }
      return snapshot;
    },
    mayLag: () => monotonicMs(calls.clock) < lagUntilMs,
    onDeleted() {
      isDeleted = true;
      lagUntilMs = 0;
    },
    isDeleted: () => isDeleted,
    poller() {
      const poller =
        pollers.get(name) ?? createOperationPoller(calls, name, () => pollers.delete(name));
      pollers.set(name, poller);
      return poller;
    },
  };
}

/** Deletes an operation on the server, and ends the client's waits for it. */
export async function deleteOperation(
  { calls, pollers }: ClientCore,
  name: string,
  options: CallOptions | undefined,
): Promise<void> {
  await calls.rpc.deleteOperation({ name }, options);
  pollers.get(name)?.deleted();
}

/**
 * Returns the time limit of the calls that a wait makes after its own limit has expired: 1 s, or
 * `pollTimeoutMs` if that is less. In milliseconds.
 */
export function lastCallMs({ settings }: ClientCore): number {
  return Math.min(1000, settings.pollTimeoutMs);
}

const trackedStates = new WeakMap<object, TrackedOperation<unknown, unknown>>();

/** @internal Makes the state of a handle available to `trackedByHandle`. */
export function keepTracked(handle: object, tracked: TrackedOperation<unknown, unknown>): void {
  trackedStates.set(handle, tracked);
}

/** @internal Returns undefined for an object that this copy of the package did not make. */
export function trackedByHandle(handle: object): TrackedOperation<unknown, unknown> | undefined {
  return trackedStates.get(handle);
}
