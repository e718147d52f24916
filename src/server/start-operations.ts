import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { v7 as uuidv7 } from "uuid";
import type { Clock } from "../internal/clock.js";
import { isSameBytes } from "../internal/same-bytes.js";
import { sleep } from "../internal/sleep.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { formatOperationName, parseOperationName } from "../operation/name.js";
import type { Operation } from "../protos.js";
import type { Dispatcher } from "../store/dispatcher.js";
import type {
  ListCursor,
  NewOperation,
  OperationRecord,
  OperationStore,
  Transaction,
} from "../store/operation-store.js";
import {
  invalidField,
  notDispatched,
  operationExists,
  requestIdReused,
  requestIdSpent,
  resourceBusy,
} from "./errors.js";
import type { OperationsEvent } from "./events.js";
import { operationFromRecord } from "./operation-message.js";
import { requestIdOf, stringFieldOf } from "./request-id.js";
import { storedError } from "./stored-result.js";
import type { WriteAndPublish } from "./write-and-publish.js";

/** What starts stand on. */
export interface StartParts {
  store: OperationStore;
  dispatcher: Dispatcher;
  writeAndPublish: WriteAndPublish;
  clock: Clock;
  log: (event: OperationsEvent) => void;
}

/** One start. */
export interface StartInit {
  /** Driven from outside, and so never dispatched. */
  external: boolean;
  /** Undefined: the request's string field `parent` where it has one, else none. */
  parent: string | undefined;
  /** Who starts it; empty where callers are not told apart. */
  principal: string;
  retentionMs: number;
  transaction: Transaction | undefined;
}

/** Puts new operations in the store and in the queue. */
export interface OperationStarts {
  start<I extends DescMessage>(
    method: LongRunningMethod<I>,
    request: MessageInitShape<I>,
    init: StartInit,
  ): Promise<Operation>;
  /**
   * Dispatch what the store has unfinished, where the queue has forgotten it. Starts
   * wait for this, so that nothing is dispatched twice. Never rejects; `signal` ends it.
   */
  recover(signal: AbortSignal): Promise<void>;
}

/** A request id is remembered for at least this long after its start, in milliseconds. */
const minRequestIdWindowMs = 10 * 60 * 1000;

/** How many operations are recovered at a time, and when a store that failed is tried again. */
const recoveryPageSize = 1000;
const recoveryRetryDelayMs = 1000;

export function createOperationStarts({
  store,
  dispatcher,
  writeAndPublish,
  clock,
  log,
}: StartParts): OperationStarts {
  const insert = async (operation: NewOperation, transaction: Transaction | undefined) => {
    const outcome = await store.insert(operation, { transaction });
    if (outcome.kind === "name-taken") throw operationExists(operation.name);
    if (outcome.kind === "spent") {
      throw requestIdSpent(operation.requestId?.id ?? "", outcome.name);
    }
    if (outcome.kind === "busy") throw resourceBusy(operation.resourceKey ?? "", outcome.name);
    if (outcome.kind === "inserted" && outcome.record.state === "queued") {
      await dispatch(outcome.record, transaction);
    }
    return outcome.record;
  };

  const dispatch = async (record: OperationRecord, transaction: Transaction | undefined) => {
    try {
      await dispatcher.dispatch(record, { transaction });
    } catch (cause) {
      // Without a transaction the record stands, and nobody would ever run it.
      if (transaction === undefined) {
        await writeAndPublish(
          () => store.requestCancel(record.name, storedError(notDispatched())),
          () => "done",
        );
      }
      throw cause;
    }
  };

  return {
    async start(
      { method },
      init,
      { external, parent: given, principal, retentionMs, transaction },
    ) {
      const request = create(method.input, init);
      const parent = given ?? stringFieldOf(method.input, request, "parent") ?? "";
      const name = formatOperationName({ parent, id: uuidv7() });
      if (parseOperationName(name) === undefined) {
        throw invalidField("parent", parent, "must be a resource name of at most 976 bytes");
      }
      const methodName = fullName(method);
      const windowMs = Math.max(retentionMs, minRequestIdWindowMs);
      const scope = [principal, parent, methodName];
      const requestId = await requestIdOf(method.input, request, scope, windowMs);
      const operation: NewOperation = {
        name,
        parent,
        method: methodName,
        principal,
        external,
        request: toBinary(method.input, request),
        metadata: undefined,
        result: undefined,
        retentionMs,
        deadlineMs: undefined,
        resourceKey: undefined,
        requestId,
      };
      const record =
        transaction === undefined
          ? await store.transaction((own) => insert(operation, own))
          : await insert(operation, transaction);
      if (
        requestId !== undefined &&
        record.requestId !== undefined &&
        !isSameBytes(requestId.fingerprint, record.requestId.fingerprint)
      ) {
        throw requestIdReused(requestId.id);
      }
      return operationFromRecord(record);
    },
    async recover(signal) {
      if (dispatcher.isDurable) return;
      let after: ListCursor | undefined;
      let isAtEnd = false;
      while (!isAtEnd && !signal.aborted) {
        try {
          const page = await store.unfinished({ after, limit: recoveryPageSize });
          for (const record of page.records) {
            if (signal.aborted) return;
            await dispatcher.dispatch(record);
            // One by one, so that nothing is dispatched again where a later one fails.
            after = record;
          }
          isAtEnd = page.next === undefined;
          after = page.next;
        } catch (cause) {
          log({ kind: "store-failed", action: "recover", cause });
          await sleep(clock, recoveryRetryDelayMs, signal).catch(() => undefined);
        }
      }
    },
  };
}
