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
 * The life of one operation of a scripted server, as plain data: which states it goes
 * through, how the server takes each look at it, and what comes of a cancellation. Every
 * field may be left out; an empty script is an operation that runs until it is cancelled.
 */
export interface OperationScript<
  R extends DescMessage = DescMessage,
  M extends DescMessage = DescMessage,
> {
  /**
   * Its name. An operation that begins under the name of another one takes its place.
   * Default: `operations/1`, `operations/2` and so on, in the order of their starts.
   */
  readonly name?: string | undefined;
  /** The states one after the other; the last one stays. Default: one running state without metadata. */
  readonly states?: readonly ScriptedState<R, M>[] | undefined;
  /**
   * What the server does with each look, GetOperation and WaitOperation alike: in order,
   * and `"answer"` when nothing is left; or by a rule. Default: `"answer"`, always.
   */
  readonly looks?: readonly LookScript[] | ((look: Look) => LookScript) | undefined;
  /** What comes of CancelOperation while the operation runs. Default: `"honoured"`. */
  readonly cancel?: CancelScript | undefined;
}

/**
 * One state, and when the operation enters it. At most one of `response`, `error`,
 * `lost` and `operation` may be given; without any of them it is running.
 */
export interface ScriptedState<
  R extends DescMessage = DescMessage,
  M extends DescMessage = DescMessage,
> {
  /**
   * It is entered with this answered look: 1 for the first one after the start, 0 for the
   * start itself. Looks that fail do not count; an operation that a list shows was looked
   * at. Default: 0 for the first state and one look after the state before, unless
   * `afterMs` is given.
   */
  readonly afterLooks?: number | undefined;
  /** It is entered so many milliseconds after the start. With `afterLooks` too, both must have come. */
  readonly afterMs?: number | undefined;
  /** What it shows; an Any is taken as it is, of whatever type. Default: that of the state before. */
  readonly metadata?: MessageInitShape<M> | Any | undefined;
  /** It is done, with this; an Any is taken as it is, of whatever type. */
  readonly response?: MessageInitShape<R> | Any | undefined;
  /** It is done, with this error and all of its details; a bare code has neither message nor details. */
  readonly error?: ConnectError | Code | undefined;
  /** The server does not know it any more: NOT_FOUND, and no list shows it. */
  readonly lost?: boolean | undefined;
  /**
   * These fields of an Operation and nothing else, for what the rest cannot say, such as `done`
   * without a result. An empty `name` is filled in.
   */
  readonly operation?: MessageInitShape<typeof OperationSchema> | undefined;
}

/** A call that fails with this error; a bare code has neither message nor details. */
export interface ScriptedFailure {
  readonly fails: ConnectError | Code;
}

/** What the server does with one look. */
export type LookScript =
  /** GetOperation at once; WaitOperation at the end or its timeout, 60 s at most. */
  | "answer"
  /** WaitOperation too is answered at once, done or not, which the proto allows. */
  | "early"
  /** There is no answer until the client gives up. */
  | "hang"
  | ScriptedFailure
  /** The answer takes so many milliseconds, and shows the state at its end. */
  | { readonly delayMs: number }
  /** At once, from a replica that lags behind: what is entered by time is so many milliseconds old. */
  | { readonly lagMs: number };

/** A look at an operation, before it is answered. */
export interface Look {
  readonly method: "GetOperation" | "WaitOperation";
  /** 1 for the first look at this operation, those that failed among them. */
  readonly number: number;
  /** Since the start of the operation, in milliseconds. */
  readonly elapsedMs: number;
}

/** What comes of a request to cancel a running operation. One that is done is never changed. */
export type CancelScript =
  /** The operation is done at once, with CANCELLED. */
  | "honoured"
  /** The request is answered, and the operation goes on. */
  | "ignored"
  /** The request is not answered until the client gives up, and the operation goes on. */
  | "hang"
  | ScriptedFailure
  /** The operation is done with CANCELLED so many milliseconds later, unless it comes to its own end first. */
  | { readonly delayMs: number };

/** What a start comes to: an operation, an error, or no answer until the client gives up. */
export type StartScript<R extends DescMessage = DescMessage, M extends DescMessage = DescMessage> =
  | OperationScript<R, M>
  | ScriptedFailure
  | "hang";

/** A script whose payloads are packed and whose numbers are within their bounds. */
export interface CheckedScript {
  readonly name: string | undefined;
  /** At least one, in the order in which they are entered. */
  readonly states: readonly CheckedState[];
  readonly lookAt: (look: Look) => LookScript;
  readonly cancel: CancelScript;
}

/** A state, with both of its conditions. */
export interface CheckedState {
  readonly afterLooks: number;
  readonly afterMs: number;
  /** Its name is empty where the operation's own belongs; undefined in a state that is lost. */
  readonly operation: Operation | undefined;
}

/**
 * Check a script against the method that starts the operation.
 *
 * @throws RangeError for a number out of its bounds, and for a state that is entered before
 *   the one above it; TypeError for a state that is two at once, and for a payload of
 *   another type than the method's. Each names the field.
 */
export function checkedScript<R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<DescMessage, R, M>,
  script: OperationScript<R, M>,
): CheckedScript {
  const { name, looks = [], cancel = "honoured" } = script;
  checkDelay("cancel", cancel);
  if (typeof looks !== "function") {
    for (const [index, look] of looks.entries()) checkDelay(`looks[${index}]`, look);
  }
  return {
    name,
    states: checkedStates(method, script.states ?? []),
    lookAt: typeof looks === "function" ? looks : ({ number }) => looks[number - 1] ?? "answer",
    cancel,
  };
}

/** The error that a script means. */
export function scriptedError(error: ConnectError | Code): ConnectError {
  return error instanceof ConnectError ? error : new ConnectError("", error);
}

function checkedStates<R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<DescMessage, R, M>,
  states: readonly ScriptedState<R, M>[],
): readonly CheckedState[] {
  const checked: CheckedState[] = [];
  let metadata: Any | undefined;
  let before = { afterLooks: 0, afterMs: 0, isByTime: false };
  for (const [index, state] of states.entries()) {
    const field = `states[${index}]`;
    if (index > 0 && state.afterLooks === undefined && state.afterMs === undefined) {
      // Which look it would be depends on when the client looks.
      if (before.isByTime) {
        throw new RangeError(
          `${field} must have afterLooks or afterMs, as the state before has afterMs`,
        );
      }
    }
    const next = index > 0 && state.afterMs === undefined ? 1 : 0;
    const afterLooks = state.afterLooks ?? before.afterLooks + next;
    if (!Number.isInteger(afterLooks)) {
      throw new RangeError(`${field}.afterLooks must be a whole number, not ${afterLooks}`);
    }
    const afterMs = state.afterMs ?? before.afterMs;
    inRange(`${field}.afterLooks`, afterLooks, before.afterLooks);
    inRange(`${field}.afterMs`, afterMs, before.afterMs);
    before = { afterLooks, afterMs, isByTime: state.afterMs !== undefined };
    if (state.metadata !== undefined) metadata = packed(method.metadata, state.metadata);
    checked.push({ afterLooks, afterMs, operation: operationOf(method, field, state, metadata) });
    if (state.lost && afterLooks === 0 && afterMs === 0) {
      throw new RangeError(`${field} is lost at the start, and must be so later`);
    }
  }
  const [first] = checked;
  // It runs until the first of its states is entered.
  const needsStart = first === undefined || first.afterLooks > 0 || first.afterMs > 0;
  const start = { afterLooks: 0, afterMs: 0, operation: create(OperationSchema) };
  return needsStart ? [start, ...checked] : checked;
}

/** What a state shows; undefined where it is lost. */
function operationOf<R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<DescMessage, R, M>,
  field: string,
  state: ScriptedState<R, M>,
  metadata: Any | undefined,
): Operation | undefined {
  const { response, error, lost, operation } = state;
  const ends = { response, error, lost: lost || undefined, operation };
  const given = Object.entries(ends).flatMap(([end, value]) => (value === undefined ? [] : [end]));
  if (given.length > 1) throw new TypeError(`${field} has both ${given.join(" and ")}`);
  if (lost) return undefined;
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

function checkDelay(field: string, script: LookScript | CancelScript): void {
  if (typeof script === "string") return;
  if ("delayMs" in script) inRange(`${field}.delayMs`, script.delayMs, 0);
  if ("lagMs" in script) inRange(`${field}.lagMs`, script.lagMs, 0);
}
