import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import { isSameBytes } from "../internal/same-bytes.js";
import type { OperationTypes } from "../operation/long-running.js";
import { type Outcome, type OutcomeOptions, outcomeOf } from "../operation/outcome.js";
import type { Operation } from "../protos.js";

/**
 * A state of an operation, as a poll returned it. Snapshots are frozen. All waits of one handle
 * receive the same object for the same state.
 */
export type Snapshot<Response = Message, Metadata = Message> = Outcome<Response, Metadata> & {
  /**
   * The Operation as the server sent it, with packed payloads. An empty name is filled in with the
   * requested one.
   */
  readonly operation: Operation;
};

/** A snapshot of an operation that is done. */
export type FinalSnapshot<Response = Message, Metadata = Message> = Exclude<
  Snapshot<Response, Metadata>,
  { kind: "running" }
>;

export function snapshotOf<R extends DescMessage, M extends DescMessage>(
  operation: Operation,
  types: OperationTypes<R, M>,
  options: OutcomeOptions,
): Snapshot<MessageShape<R>, MessageShape<M>> {
  return Object.freeze({ ...outcomeOf(operation, types, options), operation });
}

/** Whether two Operations of one name have the same `done` and the same metadata. */
export function isSameState(one: Operation, other: Operation): boolean {
  const [a, b] = [one.metadata, other.metadata];
  const isSame = one.done === other.done && a?.typeUrl === b?.typeUrl;
  return isSame && (!a || !b || isSameBytes(a.value, b.value));
}
