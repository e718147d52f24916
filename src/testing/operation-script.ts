import {
  create,
  type DescMessage,
  isMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError } from "@connectrpc/connect";
import { pack } from "../any/any.js";
import { inRange } from "../internal/option-bounds.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import { type Operation, OperationSchema } from "../protos.js";
import { statusFromError } from "../status/status-error.js";

/**
 * The life of one operation of a scripted server, as plain data: its states, the server's answers
 * to polls, and the effect of a cancellation. An empty script is an operation that runs until a
 * client cancels it.
 */
export interface OperationScript<
  R extends DescMessage = DescMessage,
  M extends DescMessage = DescMessage,
> {
  /**
   * The name. An operation replaces an earlier one of the same name.
   * Default: `operations/1`, `operations/2` and so on, in the order of their starts.
   */
  readonly name?: string | undefined;
  /** The states in their order; the last one stays. Default: one running state without metadata. */
  readonly states?: readonly ScriptedState<R, M>[] | undefined;
  /**
   * The server's answers to the polls, which are calls of GetOperation or WaitOperation: a list in
   * their order, followed by `"answer"`, or a function. Default: always `"answer"`.
   */
  readonly polls?: readonly PollScript[] | ((poll: Poll) => PollScript) | undefined;
  /** The effect of CancelOperation while the operation runs. Default: `"honoured"`. */
  readonly cancel?: CancelScript | undefined;
}

/**
 * A state, and the condition on which the operation enters it. At most one of `response`,
 * `error`, `notFound` and `operation` may be set; without them the operation is running.
 */
export interface ScriptedState<
  R extends DescMessage = DescMessage,
  M extends DescMessage = DescMessage,
> {
  /**
   * The answered poll with which the operation enters the state: 0 for the start, 1 for the first
   * poll. Failed polls do not count, and a list that contains the operation counts as a poll.
   * Default: 0 for the first state, and one poll after the state before unless `afterMs` is set.
   */
  readonly afterPolls?: number | undefined;
  /** The time after the start, in milliseconds. With `afterPolls`, both conditions must hold. Default: none. */
  readonly afterMs?: number | undefined;
  /** The metadata; an Any may have any type. Default: the metadata of the state before. */
  readonly metadata?: MessageInitShape<M> | Any | undefined;
  /** The response of a done operation; an Any may have any type. */
  readonly response?: MessageInitShape<R> | Any | undefined;
  /** The error of a done operation, with its details; a bare code has neither message nor details. */
  readonly error?: ConnectError | Code | undefined;
  /** Whether the server has lost the operation: polls fail with NOT_FOUND, and no list contains it. */
  readonly notFound?: boolean | undefined;
  /**
   * All fields of the Operation, for a state that the other members cannot express, such as `done`
   * without a result. An empty `name` is filled in.
   */
  readonly operation?: MessageInitShape<typeof OperationSchema> | undefined;
}

/** A call that fails with this error; a bare code has neither message nor details. */
export interface ScriptedFailure {
  readonly fails: ConnectError | Code;
}

/** The server's answer to a poll. */
export type PollScript =
  /** GetOperation responds at once, WaitOperation at the end or at its timeout, at most 25 s. */
  | "answer"
  /** WaitOperation responds at once, too, done or not, which the proto allows. */
  | "early"
  /** The server does not respond until the client gives up. */
  | "hang"
  | ScriptedFailure
  /** The server responds after this time, in milliseconds, with the state at that time. */
  | { readonly delayMs: number }
  /** The server responds at once with the state of this many milliseconds ago, like a stale replica. */
  | { readonly lagMs: number };

/** A poll of an operation, before the server responds. */
export interface Poll {
  readonly method: "GetOperation" | "WaitOperation";
  /** 1 for the first poll of this operation; failed polls count. */
  readonly number: number;
  /** Since the start of the operation, in milliseconds. */
  readonly elapsedMs: number;
}

/** The effect of a request to cancel a running operation. A done operation never changes. */
export type CancelScript =
  /** The operation is done at once, with CANCELLED. */
  | "honoured"
  /** The request is answered, and the operation goes on. */
  | "ignored"
  /** The request is not answered until the client gives up, and the operation goes on. */
  | "hang"
  | ScriptedFailure
  /** The operation ends CANCELLED after this time, in milliseconds, unless it ends by itself before. */
  | { readonly delayMs: number };

/** The result of a start: an operation, an error, or no response until the client gives up. */
export type StartScript<R extends DescMessage = DescMessage, M extends DescMessage = DescMessage> =
  | OperationScript<R, M>
  | ScriptedFailure
  | "hang";

/** A checked script: its payloads are packed and its numbers are within their bounds. */
export interface CheckedScript {
  readonly name: string | undefined;
  /** At least one, in the order in which they are entered. */
  readonly states: readonly CheckedState[];
  readonly pollScriptAt: (poll: Poll) => PollScript;
  readonly cancel: CancelScript;
}

/** A state, with both of its conditions. */
export interface CheckedState {
  readonly afterPolls: number;
  readonly afterMs: number;
  /** An empty name is replaced by the operation's name; undefined if the server lost the operation. */
  readonly operation: Operation | undefined;
}

/**
 * Checks a script against the method that starts the operation.
 *
 * @throws RangeError for a number out of its bounds, and for a state that precedes the state
 *   before it; TypeError for a state with two ends, and for a payload of another type than the
 *   method's. Each names the field.
 */
export function checkedScript<R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<DescMessage, R, M>,
  script: OperationScript<R, M>,
): CheckedScript {
  const { name, polls = [], cancel = "honoured" } = script;
  checkDelay("cancel", cancel);
  if (typeof polls !== "function") {
    for (const [index, poll] of polls.entries()) checkDelay(`polls[${index}]`, poll);
  }
  return {
    name,
    states: checkedStates(method, script.states ?? []),
    pollScriptAt:
      typeof polls === "function" ? polls : ({ number }) => polls[number - 1] ?? "answer",
    cancel,
  };
}

/** Returns the error of a script; a code becomes an error without a message. */
export function scriptedError(error: ConnectError | Code): ConnectError {
  return error instanceof ConnectError ? error : new ConnectError("", error);
}

function checkedStates<R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<DescMessage, R, M>,
  states: readonly ScriptedState<R, M>[],
): readonly CheckedState[] {
  const checked: CheckedState[] = [];
  let metadata: Any | undefined;
  let before = { afterPolls: 0, afterMs: 0, isByTime: false };
  for (const [index, state] of states.entries()) {
    const field = `states[${index}]`;
    if (index > 0 && state.afterPolls === undefined && state.afterMs === undefined) {
      // The client determines the number of polls until that time.
      if (before.isByTime) {
        throw new RangeError(
          `${field} must have afterPolls or afterMs, because the state before has afterMs`,
        );
      }
    }
    const next = index > 0 && state.afterMs === undefined ? 1 : 0;
    const afterPolls = state.afterPolls ?? before.afterPolls + next;
    if (!Number.isInteger(afterPolls)) {
      throw new RangeError(`${field}.afterPolls must be a whole number, not ${afterPolls}`);
    }
    const afterMs = state.afterMs ?? before.afterMs;
    inRange(`${field}.afterPolls`, afterPolls, before.afterPolls);
    inRange(`${field}.afterMs`, afterMs, before.afterMs);
    before = { afterPolls, afterMs, isByTime: state.afterMs !== undefined };
    if (state.metadata !== undefined) metadata = packed(method.metadata, state.metadata);
    checked.push({ afterPolls, afterMs, operation: operationOf(method, field, state, metadata) });
    if (state.notFound && afterPolls === 0 && afterMs === 0) {
      throw new RangeError(`${field}.notFound must be later than the start`);
    }
  }
  const [first] = checked;
  // The operation runs until it enters the first of its states.
  const needsStart = first === undefined || first.afterPolls > 0 || first.afterMs > 0;
  const start = { afterPolls: 0, afterMs: 0, operation: create(OperationSchema) };
  return needsStart ? [start, ...checked] : checked;
}

/** Returns the operation of a state; undefined if the server lost it. */
function operationOf<R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<DescMessage, R, M>,
  field: string,
  state: ScriptedState<R, M>,
  metadata: Any | undefined,
): Operation | undefined {
  const { response, error, notFound, operation } = state;
  const ends = { response, error, notFound: notFound || undefined, operation };
  const given = Object.entries(ends).flatMap(([end, value]) => (value === undefined ? [] : [end]));
  if (given.length > 1) throw new TypeError(`${field} has both ${given.join(" and ")}`);
  if (notFound) return undefined;
  if (operation !== undefined) return create(OperationSchema, operation);
  if (response !== undefined) {
    const value = packed(method.response, response);
    return create(OperationSchema, { metadata, done: true, result: { case: "response", value } });
  }
  if (error !== undefined) {
    const value = statusFromError(scriptedError(error));
    return create(OperationSchema, { metadata, done: true, result: { case: "error", value } });
  }
  return create(OperationSchema, { metadata });
}

function packed<Desc extends DescMessage>(
  schema: Desc,
  payload: MessageInitShape<Desc> | Any,
): Any {
  return isAny(payload) ? payload : pack(schema, payload);
}

function isAny(payload: object): payload is MessageShape<typeof AnySchema> {
  return isMessage(payload, AnySchema);
}

function checkDelay(field: string, script: PollScript | CancelScript): void {
  if (typeof script === "string") return;
  if ("delayMs" in script) inRange(`${field}.delayMs`, script.delayMs, 0);
  if ("lagMs" in script) inRange(`${field}.lagMs`, script.lagMs, 0);
}
