import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import { nextImmediate } from "../internal/next-immediate.js";
import { notifySafely } from "../internal/notify-safely.js";
import { isSameBytes } from "../internal/same-bytes.js";
import { typeUrlPrefix } from "../internal/type-url.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import type { Dispatcher } from "../store/dispatcher.js";
import type {
  InsertOutcome,
  NewOperation,
  OperationRecord,
  OperationStore,
  ParallelPolicy,
  StoredResult,
  Together,
  Transaction,
} from "../store/operation-store.js";
import {
  notDispatched,
  operationExists,
  preempted,
  requestIdReused,
  requestIdSpent,
  resourceBusy,
} from "./errors.js";
import type { Parallel } from "./method-options.js";
import type { MethodPolicy } from "./methods.js";
import { newOperationName } from "./new-operation-name.js";
import type { ObservedStart, OperationsObserver } from "./observer.js";
import type { OperationView, ToView } from "./operation-view.js";
import { dispatchedOperation, type OperationWriter } from "./operation-writer.js";
import { boolFieldOf, stringFieldOf } from "./request-fields.js";
import { requestIdOf } from "./request-id.js";
import { storedError } from "./stored-result.js";

/** Dependencies of starts. */
export interface StartDeps {
  store: OperationStore;
  dispatcher: Dispatcher;
  writer: OperationWriter;
  toView: ToView;
  observer: OperationsObserver | undefined;
  /** Called with each operation that was started: it may have a deadline. */
  scheduleDeadline: (record: OperationRecord) => void;
}

/** The options of one start. */
export interface StartInit {
  /** Whether the work runs outside this server: such an operation is never dispatched. */
  external: boolean;
  /** The whole name. If undefined: the parent and a UUIDv7. */
  name: string | undefined;
  /** The parent. If undefined: the request's string field `parent`, or none. */
  parent: string | undefined;
  /** Empty if callers are not distinguished. */
  principal: string;
  /** Empty or undefined: the operation is independent of all others. */
  resource: string | undefined;
  parallel: Parallel;
  retentionMs: number;
  deadlineMs: number | undefined;
  transaction: Transaction | undefined;
  policy: MethodPolicy;
  /** The call that starts it; undefined if the program itself does. */
  call: Pick<HandlerContext, "requestHeader"> | undefined;
  /** Returns the response to a `validate_only` request (AIP-163). */
  preview: () => Promise<StoredResult>;
  /** Returns the result if it needs no work, otherwise undefined. */
  tryNow: (() => Promise<StoredResult | undefined>) | undefined;
}

/** The record, and if it is new, the operations that were ended for it. */
interface Started {
  readonly record: OperationRecord;
  readonly preempted?: readonly OperationRecord[];
}

type InsertTogether = NonNullable<OperationStore["insertTogether"]>;

/** Puts new operations in the store and in the queue. */
export interface OperationStarts {
  /**
   * @throws ConnectError for a bad name, parent or request id, for a name or a resource that is in
   *   use, and the errors of the store and the dispatcher.
   */
  start<I extends DescMessage>(
    method: LongRunningMethod<I>,
    request: MessageInitShape<I>,
    init: StartInit,
  ): Promise<OperationView>;
  /**
   * Returns a promise that resolves when the responses to the latest starts are sent. Returns
   * undefined without such a response. Work waits for it, because it may block the event loop.
   */
  responsesSent(): Promise<void> | undefined;
}

/**
 * How many event-loop iterations the response to a start takes: over HTTP/2 its trailers follow in
 * one after the body.
 */
const responseTurns = 4;

async function turnsEnd(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await nextImmediate();
}

/** The minimum retention of a request id after its start, in milliseconds. */
const minRequestIdWindowMs = 10 * 60 * 1000;

export function createOperationStarts(deps: StartDeps): OperationStarts {
  const { store, dispatcher, writer, toView, observer, scheduleDeadline } = deps;

  let responsesSent: Promise<void> | undefined;

  const insert = async (
    operation: NewOperation,
    parallel: ParallelPolicy,
    transaction: Transaction | undefined,
  ): Promise<Started> => {
    const beforeQueued = () => dispatcher.reserve?.(operation);
    const outcome = await store.insert(operation, { parallel, transaction, beforeQueued });
    if (outcome.kind === "inserted") {
      const { record, preempted } = outcome;
      observeStart(record);
      await writer.publishEnds(preempted, transaction);
      if (record.state === "queued") await dispatch([record], transaction);
    }
    return started(operation, outcome, transaction);
  };

  /**
   * Inserts an operation that depends on no other through a store that batches inserts. All
   * starts pass the same function, so that the store can call it once for a whole batch.
   */
  const insertTogether = async (operation: NewOperation, by: InsertTogether) => {
    try {
      return started(operation, await by(operation, dispatchTogether), undefined);
    } finally {
      observedTogether.delete(operation.name);
    }
  };

  /** The batched starts that were reported to the observer: a failed batch is inserted again. */
  const observedTogether = new Set<string>();

  const dispatchTogether: Together = async (records, transaction) => {
    for (const record of records) {
      if (observedTogether.has(record.name)) continue;
      observedTogether.add(record.name);
      observeStart(record);
    }
    await dispatch(records, transaction);
  };

  const traceContextOf = (name: string, method: string, call: StartInit["call"]) => {
    if (observer?.starting === undefined) return undefined;
    const start: ObservedStart = { name, method, requestHeader: () => call?.requestHeader };
    return notifySafely(observer, (to) => to.starting?.(start));
  };

  /** Called before the operation is dispatched, so that it precedes the first run. */
  const observeStart = ({ name, method }: OperationRecord) => {
    responsesSent ??= turnsEnd(responseTurns).then(() => {
      responsesSent = undefined;
    });
    notifySafely(observer, (to) => to.started?.({ name, method }));
  };

  const started = async (
    operation: NewOperation,
    outcome: InsertOutcome,
    transaction: Transaction | undefined,
  ): Promise<Started> => {
    if (outcome.kind === "name-taken") throw operationExists(operation.name);
    if (outcome.kind === "spent") {
      throw requestIdSpent(operation.requestId?.id ?? "", outcome.name);
    }
    if (outcome.kind === "busy") {
      const other = await store.get(outcome.name, { transaction });
      // Only the caller that owns the other operation gets its name.
      const isOwn = other?.principal === operation.principal;
      throw resourceBusy(operation.resourceKey ?? "", isOwn ? outcome.name : undefined);
    }
    const { record } = outcome;
    return outcome.kind === "duplicate" ? { record } : { record, preempted: outcome.preempted };
  };

  const put = (
    operation: NewOperation,
    parallel: ParallelPolicy,
    transaction: Transaction | undefined,
  ): Promise<Started> => {
    if (transaction !== undefined) return insert(operation, parallel, transaction);
    const { resourceKey, result, external } = operation;
    const isAlone = resourceKey === undefined && result === undefined && !external;
    return isAlone && store.insertTogether !== undefined
      ? insertTogether(operation, store.insertTogether)
      : store.transaction((own) => insert(operation, parallel, own));
  };

  const dispatch = async (
    records: readonly OperationRecord[],
    transaction: Transaction | undefined,
  ) => {
    try {
      await dispatcher.dispatch(records.map(dispatchedOperation), { transaction });
    } catch (cause) {
      // Without a transaction the records would stay although no process ever ran them.
      if (transaction === undefined) {
        for (const { name } of records) {
          await writer.write(
            () => store.requestCancel(name, storedError(notDispatched())),
            () => "done",
          );
        }
      }
      throw cause;
    }
  };

  const observeQueue = () => {
    const depth = dispatcher.queued?.();
    if (depth !== undefined) notifySafely(observer, (to) => to.queueDepthChanged?.(depth));
  };

  return {
    responsesSent: () => responsesSent,
    async start({ method, metadata }, requestInit, init) {
      const { external, principal, retentionMs, deadlineMs, transaction, policy } = init;
      const request = create(method.input, requestInit);
      const givenParent = init.parent ?? stringFieldOf(method.input, request, "parent") ?? "";
      const { name, parent } = newOperationName(init.name, givenParent);
      const methodName = fullName(method);
      const windowMs = Math.max(retentionMs, minRequestIdWindowMs);
      const scope = [principal, parent, methodName];
      const requestId = await requestIdOf(method.input, request, scope, windowMs);
      const validatesOnly = boolFieldOf(method.input, request, "validate_only") === true;
      const requestBytes = toBinary(method.input, request);
      const prefix = policy.metadata?.prefixOf({ request: requestBytes, principal });
      const resourceKey = init.resource || undefined;
      const operation: NewOperation = {
        name,
        parent,
        method: methodName,
        principal,
        external,
        request: requestBytes,
        metadata:
          prefix &&
          toBinary(
            AnySchema,
            create(AnySchema, { typeUrl: typeUrlPrefix + metadata.typeName, value: prefix }),
          ),
        result: validatesOnly ? undefined : await init.tryNow?.(),
        retentionMs,
        deadlineMs,
        resourceKey,
        requestId,
        traceContext: validatesOnly ? undefined : traceContextOf(name, methodName, init.call),
      };
      const parallel: ParallelPolicy =
        init.parallel === "preempt"
          ? { kind: "preempt", result: storedError(preempted(resourceKey ?? "")) }
          : { kind: init.parallel };
      if (validatesOnly) {
        // If `tryNow` may answer, the start may not need its resource.
        const looksAt = init.tryNow === undefined ? resourceKey : undefined;
        const checked = { ...operation, resourceKey: looksAt };
        const refused = await store.check(checked, { parallel, transaction });
        if (refused !== undefined) await started(operation, refused, transaction);
        return { name: "", metadata: undefined, done: true, result: await init.preview() };
      }
      if (!external && operation.result === undefined) await dispatcher.prepare?.(methodName);
      const { record, preempted: ended } = await put(operation, parallel, transaction);
      if (
        requestId !== undefined &&
        record.requestId !== undefined &&
        !isSameBytes(requestId.fingerprint, record.requestId.fingerprint)
      ) {
        throw requestIdReused(requestId.id);
      }
      if (ended !== undefined) {
        scheduleDeadline(record);
        observeQueue();
        writer.observeEnds(record.state === "done" ? [...ended, record] : ended);
      }
      return toView(record);
    },
  };
}
