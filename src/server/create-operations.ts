import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { ConnectError, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { v7 as uuidv7 } from "uuid";
import { type Clock, systemClock } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { formatOperationName, parseOperationName } from "../operation/name.js";
import type { Operation, Operations } from "../protos.js";
import type { Dispatcher } from "../store/dispatcher.js";
import { createInProcessDispatcher } from "../store/memory/in-process-dispatcher.js";
import { createInProcessSignals } from "../store/memory/in-process-signals.js";
import { createMemoryStore } from "../store/memory/memory-store.js";
import type {
  NewOperation,
  OperationRecord,
  OperationStore,
  StoredResult,
  Transaction,
} from "../store/operation-store.js";
import type { Signals } from "../store/signals.js";
import {
  draining,
  invalidField,
  operationDone,
  operationExists,
  operationNotExternal,
  operationNotFound,
  operationOfOtherMethod,
  requestIdReused,
  requestIdSpent,
} from "./errors.js";
import { logToConsole, type OperationsEvent } from "./events.js";
import { operationFromRecord } from "./operation-message.js";
import { createOperationWaiters } from "./operation-waiters.js";
import { createOperationsService } from "./operations-service.js";
import { createPageTokens } from "./page-token.js";
import { isSameFingerprint, requestIdOf, stringFieldOf } from "./request-id.js";
import { createRunLoop } from "./run-loop.js";
import { storedError, storedPayload, storedResponse } from "./stored-result.js";
import type { Work } from "./work.js";

/** How an operations server keeps, runs and answers. Every field may be left out. */
export interface OperationsOptions {
  /** Where operations live. Default: this process's memory. */
  store?: OperationStore | undefined;
  /** Who runs what. Default: a queue in this process, 100 side by side. */
  dispatcher?: Dispatcher | undefined;
  /** Word of what happened. Default: within this process. */
  signals?: Signals | undefined;
  /**
   * How long an operation is kept after its end, in milliseconds, at least 0. A
   * running one is never removed. Default: 30 days (AIP-151).
   */
  retentionMs?: number | undefined;
  /**
   * The longest time that one WaitOperation call is held before it is answered
   * with the latest state, in milliseconds, at least 0. Default: 60,000, which most
   * proxies and load balancers let pass.
   */
  maxWaitMs?: number | undefined;
  /** Least time between two writes of one operation's metadata, in milliseconds. Default: 100. */
  reportIntervalMs?: number | undefined;
  /**
   * The 32 secret bytes that page tokens are sealed with; replicas that share them
   * take each other's tokens. Default: random ones, for this process alone.
   */
  pageTokenKey?: Uint8Array | undefined;
  /** Hears of what went wrong on this side. Default: prints it to standard error. */
  log?: ((event: OperationsEvent) => void) | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** What may be said of one long-running method. Every field may be left out. */
export interface MethodOptions<I extends DescMessage> {
  /**
   * The parent in the names of its operations, without a slash at either end.
   * Default: the request's string field `parent` where it has one, else none.
   */
  parent?: ((request: MessageShape<I>) => string) | undefined;
  /**
   * Runs before anything is stored. What it throws is the start call's own error,
   * and no operation comes to be (AIP-151).
   */
  validate?:
    | ((request: MessageShape<I>, context: HandlerContext) => void | Promise<void>)
    | undefined;
  /** Default: the server's. */
  retentionMs?: number | undefined;
}

/** What may be said of one start that the program makes itself. Every field may be left out. */
export interface StartOptions {
  /** As in `MethodOptions`. */
  parent?: string | undefined;
  /** Default: the server's. */
  retentionMs?: number | undefined;
  /** Start the operation in this transaction: it comes to be when that commits. */
  transaction?: Transaction | undefined;
}

/** The handler of a unary method that starts an operation. */
export type StartHandler<I extends DescMessage> = (
  request: MessageShape<I>,
  context: HandlerContext,
) => Promise<Operation>;

/** An operations server, embedded in a program or a test. */
export interface OperationsServer {
  /** The five methods: `router.service(Operations, operations.service)`. */
  readonly service: ServiceImpl<typeof Operations>;
  /**
   * Serve a long-running method: the handler answers with a new Operation, and
   * `work` runs behind it. A request with a `request_id` that came before gets the
   * operation it started then (AIP-155).
   *
   * @throws TypeError if the method is served already.
   */
  handle<I extends DescMessage, R extends DescMessage, M extends DescMessage>(
    method: LongRunningMethod<I, R, M>,
    work: Work<I, R, M>,
    options?: MethodOptions<I>,
  ): StartHandler<I>;
  /**
   * Start an operation of a method whose work runs in a process that `handle`s it.
   *
   * @throws ConnectError `Unavailable` while the server shuts down,
   *   `InvalidArgument` for a bad parent or a reused request id,
   *   `ResourceExhausted` where the store is full.
   */
  start<I extends DescMessage>(
    method: LongRunningMethod<I>,
    request: MessageInitShape<I>,
    options?: StartOptions,
  ): Promise<Operation>;
  /**
   * Start an operation whose work runs elsewhere: a job, a queue, a webhook. It is
   * running until `succeed` or `fail` ends it. Throws what `start` throws.
   */
  create<I extends DescMessage>(
    method: LongRunningMethod<I>,
    request: MessageInitShape<I>,
    options?: StartOptions,
  ): Promise<Operation>;
  /**
   * Show the progress of an operation that `create` made. The answer says whether
   * somebody asked for its cancellation.
   *
   * @throws ConnectError `NotFound`; `FailedPrecondition` if it is done, if it has
   *   work of its own, or if another method started it.
   */
  report<M extends DescMessage>(
    method: LongRunningMethod<DescMessage, DescMessage, M>,
    name: string,
    metadata: MessageInitShape<M>,
  ): Promise<{ cancelRequested: boolean }>;
  /** End an operation that `create` made with its response. Throws what `report` throws. */
  succeed<R extends DescMessage>(
    method: LongRunningMethod<DescMessage, R>,
    name: string,
    response: MessageInitShape<R>,
  ): Promise<Operation>;
  /**
   * End an operation that `create` made with an error; one of `Code.Canceled` is
   * the answer to a request to cancel. Throws what `report` throws.
   */
  fail(name: string, error: ConnectError): Promise<Operation>;
  /**
   * Shut down in order: refuse starts with UNAVAILABLE, answer those who wait with
   * the latest state, and let the work finish for `graceMs` milliseconds (default:
   * 10,000). Then its signal aborts, and after the same time again what still runs
   * is left alone. Closes the store, the dispatcher and the signals. Calling it again
   * joins the first call.
   */
  shutdown(options?: { graceMs?: number | undefined }): Promise<void>;
}

const dayMs = 24 * 60 * 60 * 1000;

/** How often starts clear away what has expired, and how much at a time. */
const expireIntervalMs = 60_000;
const maxExpiredAtOnce = 1000;

/**
 * Make an operations server. The store, the dispatcher and the signals that are
 * handed to it are its own from then on.
 *
 * @throws RangeError for an option out of its bounds.
 */
export function createOperations(options: OperationsOptions = {}): OperationsServer {
  const clock = options.clock ?? systemClock;
  const store = options.store ?? createMemoryStore({ clock });
  const dispatcher = options.dispatcher ?? createInProcessDispatcher({ clock });
  const signals = options.signals ?? createInProcessSignals();
  const retentionMs = atLeastZero("retentionMs", options.retentionMs ?? 30 * dayMs);
  const maxWaitMs = atLeastZero("maxWaitMs", options.maxWaitMs ?? 60_000);
  const reportIntervalMs = atLeastZero("reportIntervalMs", options.reportIntervalMs ?? 100);
  const log = (event: OperationsEvent) => {
    // A log that fails, at once or later, must not stand in the way of the work.
    const logged = new Promise<unknown>((resolve) => {
      resolve((options.log ?? logToConsole)(event));
    });
    logged.catch(() => undefined);
  };
  const waiters = createOperationWaiters(store, signals, clock);
  const runLoop = createRunLoop({ store, signals, clock, log, reportIntervalMs });
  const pageTokens = createPageTokens(options.pageTokenKey);
  const served = new Set<string>();
  let stopping: Promise<void> | undefined;
  let lastExpiryMs = clock.nowMs();

  const expireNowAndThen = () => {
    if (clock.nowMs() - lastExpiryMs < expireIntervalMs) return;
    lastExpiryMs = clock.nowMs();
    store
      .expire(maxExpiredAtOnce)
      .catch((cause: unknown) => log({ kind: "store-failed", action: "expire", cause }));
  };

  const insert = async (operation: NewOperation, transaction: Transaction | undefined) => {
    const outcome = await store.insert(operation, { transaction });
    if (outcome.kind === "name-taken") throw operationExists(operation.name);
    if (outcome.kind === "spent") {
      throw requestIdSpent(operation.requestId?.id ?? "", outcome.name);
    }
    if (outcome.kind === "inserted" && outcome.record.state === "queued") {
      await dispatcher.dispatch(operation, { transaction });
    }
    return outcome.record;
  };

  const startOperation = async <I extends DescMessage>(
    { method }: LongRunningMethod<I>,
    init: MessageInitShape<I>,
    external: boolean,
    startOptions: StartOptions,
  ): Promise<Operation> => {
    if (stopping !== undefined) throw draining();
    expireNowAndThen();
    const request = create(method.input, init);
    const parent = startOptions.parent ?? stringFieldOf(method.input, request, "parent") ?? "";
    const name = formatOperationName({ parent, id: uuidv7() });
    if (parseOperationName(name) === undefined) {
      throw invalidField("parent", parent, "must be a resource name of at most 976 bytes");
    }
    const keptMs = atLeastZero("retentionMs", startOptions.retentionMs ?? retentionMs);
    const methodName = fullName(method);
    const requestId = await requestIdOf(method.input, request, [parent, methodName], keptMs);
    const operation: NewOperation = {
      name,
      parent,
      method: methodName,
      principal: "",
      external,
      request: toBinary(method.input, request),
      metadata: undefined,
      result: undefined,
      retentionMs: keptMs,
      requestId,
    };
    const { transaction } = startOptions;
    const record =
      transaction === undefined
        ? await store.transaction((own) => insert(operation, own))
        : await insert(operation, transaction);
    if (
      requestId !== undefined &&
      record.requestId !== undefined &&
      !isSameFingerprint(requestId.fingerprint, record.requestId.fingerprint)
    ) {
      throw requestIdReused(requestId.id);
    }
    return operationFromRecord(record);
  };

  /** The record of an operation that is driven from outside. */
  const external = async (name: string, method?: LongRunningMethod): Promise<OperationRecord> => {
    const record = await store.get(name);
    if (record === undefined) throw operationNotFound(name);
    if (!record.external) throw operationNotExternal(name);
    if (method !== undefined && record.method !== fullName(method.method)) {
      throw operationOfOtherMethod(name, record.method);
    }
    return record;
  };

  const end = async (record: OperationRecord, result: StoredResult): Promise<Operation> => {
    const done = await store.transaction(async (transaction) => {
      const written = await store.finish(record, result, undefined, { transaction });
      if (written !== undefined) await signals.publish(record.name, "done", { transaction });
      return written;
    });
    if (done === undefined) throw operationDone(record.name);
    return operationFromRecord(done);
  };

  const shutdown = async (graceMs: number) => {
    waiters.drain();
    const stopped = dispatcher.stop();
    if (!(await settlesWithin(stopped, clock, graceMs))) {
      runLoop.abortAll();
      if (!(await settlesWithin(stopped, clock, graceMs))) {
        log({ kind: "work-abandoned", names: runLoop.running() });
      }
    }
    await signals.close();
    await store.close();
  };

  return {
    service: createOperationsService({ store, signals, waiters, pageTokens, maxWaitMs }),
    handle(method, work, methodOptions = {}) {
      const name = fullName(method.method);
      if (served.has(name)) throw new TypeError(`${name} is handled already`);
      served.add(name);
      dispatcher.serve(name, (delivery) => runLoop.run(method, work, delivery));
      return async (request, context) => {
        if (stopping !== undefined) throw draining();
        await methodOptions.validate?.(request, context);
        return startOperation(method, request, false, {
          parent: methodOptions.parent?.(request),
          retentionMs: methodOptions.retentionMs,
        });
      };
    },
    start: (method, request, startOptions = {}) =>
      startOperation(method, request, false, startOptions),
    create: (method, request, startOptions = {}) =>
      startOperation(method, request, true, startOptions),
    async report(method, name, metadata) {
      const record = await external(name, method);
      const report = { metadata: storedPayload(method.metadata, metadata) };
      const written = await store.report(record, report);
      if (written === undefined) throw operationDone(name);
      return { cancelRequested: written.cancelRequestTimeMicros !== undefined };
    },
    async succeed(method, name, response) {
      return end(await external(name, method), storedResponse(method.response, response));
    },
    async fail(name, error) {
      return end(await external(name), storedError(error));
    },
    shutdown({ graceMs = 10_000 } = {}) {
      stopping ??= shutdown(atLeastZero("graceMs", graceMs));
      return stopping;
    },
  };
}

function atLeastZero(option: string, value: number): number {
  if (value >= 0) return value;
  throw new RangeError(`${option} must be a number of milliseconds of at least 0, not ${value}`);
}

/** Whether a promise settles within this time. */
async function settlesWithin(
  promise: Promise<void>,
  clock: Clock,
  delayMs: number,
): Promise<boolean> {
  const timeUp = new AbortController();
  const settled = promise.then(() => true);
  const late = sleep(clock, delayMs, timeUp.signal).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    timeUp.abort();
  }
}
