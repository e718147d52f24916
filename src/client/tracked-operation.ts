import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import type { ClientSettings } from "./client-options.js";
import type { OperationCalls } from "./operation-calls.js";
import { createOperationPoller, type OperationPoller } from "./operation-poller.js";
import { createResumeToken, type ResumeToken } from "./resume-token.js";
import { isSameState, type Snapshot, snapshotOf } from "./snapshot.js";

/** What all handles of one client share. */
export interface ClientCore {
  readonly calls: OperationCalls;
  readonly settings: ClientSettings;
  /** The poll loops that somebody follows, by the operation's name. */
  readonly pollers: Map<string, OperationPoller>;
}

/** Where a handle came from. */
export interface HandleOrigin {
  /** Whether it was started here, a moment ago, and not taken up by its name. */
  readonly isFresh: boolean;
  /** The AIP-155 request id of the start; undefined where it had none. */
  readonly requestId: string | undefined;
  /** What the observer made of the start. */
  readonly link: unknown;
}

/** What one handle knows of its operation. */
export interface TrackedOperation<Response = Message, Metadata = Message> {
  readonly core: ClientCore;
  readonly method: LongRunningMethod;
  readonly name: string;
  readonly resumeToken: ResumeToken;
  readonly link: unknown;
  /** The latest state. */
  snapshot(): Snapshot<Response, Metadata>;
  /** Take note of a look; the same state gives the same snapshot, and what is done stays so. */
  see(operation: Operation): Snapshot<Response, Metadata>;
  /** Whether NOT_FOUND may come from a replica that does not know of the start yet. */
  mayLag(): boolean;
  /** The one poll loop of this operation's name. */
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
  const lagUntilMs = calls.clock.nowMs() + settings.notFoundGraceMs;
  let snapshot = snapshotOf(first, method, settings.outcome);
  let wasSeen = !origin.isFresh;
  return {
    core,
    method,
    name,
    resumeToken: createResumeToken(method, name, origin.requestId),
    link: origin.link,
    snapshot: () => snapshot,
    see(operation) {
      wasSeen = true;
      // A replica that lags behind may still say that it runs.
      if (snapshot.kind === "running" && !isSameState(snapshot.operation, operation)) {
        snapshot = snapshotOf(operation, method, settings.outcome);
      }
      return snapshot;
    },
    mayLag: () => !wasSeen && calls.clock.nowMs() < lagUntilMs,
    poller() {
      const shared = pollers.get(name);
      if (shared !== undefined) return shared;
      const { waitSliceMs } = settings;
      const onIdle = () => pollers.delete(name);
      const poller = createOperationPoller(calls, { name, waitSliceMs, onIdle });
      pollers.set(name, poller);
      return poller;
    },
  };
}

/** What is inside of each handle, for what follows many of them. */
const insideOf = new WeakMap<object, TrackedOperation<unknown, unknown>>();

/** @internal Let `trackedOf` find what is inside of a handle. */
export function keepInside(handle: object, tracked: TrackedOperation<unknown, unknown>): void {
  insideOf.set(handle, tracked);
}

/** @internal Undefined for an object that this copy of the package did not make. */
export function trackedOf(handle: object): TrackedOperation<unknown, unknown> | undefined {
  return insideOf.get(handle);
}
