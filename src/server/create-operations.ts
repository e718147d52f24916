import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { systemClock } from "../internal/clock.js";
import { createClosing } from "../internal/closing.js";
import { logHookOf } from "../internal/event-log.js";
import { LazyAbortController } from "../internal/lazy-abort-controller.js";
import { notifySafely } from "../internal/notify-safely.js";
import { atLeastOne, inRange, longestMs } from "../internal/option-bounds.js";
import { settlesWithin } from "../internal/settles-within.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { createInProcessDispatcher } from "../store/memory/in-process-dispatcher.js";
import { createInProcessSignals } from "../store/memory/in-process-signals.js";
import { createMemoryStore } from "../store/memory/memory-store.js";
import { createAuthorizer } from "./authorize.js";
import { checkpointFormat } from "./checkpoint-format.js";
import { createClosingSteps, handOverLimitMs } from "./closing-steps.js";
import { endsWithCall } from "./ends-with-call.js";
import { draining, recovering } from "./errors.js";
import { noPageTokenKey, type OperationsEvent } from "./events.js";
import { createExternalOperations } from "./external-operations.js";
import { createHousekeeping } from "./housekeeping.js";
import { createMethodHandler } from "./method-handler.js";
import type { CreateOptions } from "./method-options.js";
import { createMethods, milliseconds, optionalMilliseconds } from "./methods.js";
import { createToView, operationForms, operationMessage } from "./operation-view.js";
import { createOperationWaiters } from "./operation-waiters.js";
import { createOperationWriter, dispatchedOperation } from "./operation-writer.js";
import type { OperationsOptions, OperationsServer } from "./operations-server.js";
import { type BoundByCall, createOperationsService } from "./operations-service.js";
import { createPageTokens } from "./page-token.js";
import { recoverOperations, redispatchOperations } from "./recover-operations.js";
import { createRetryPolicy } from "./retry-policy.js";
import { createRunLoop } from "./run-loop.js";
import { createStartHandler, type HandledStart } from "./start-handler.js";
import { createOperationStarts, type StartInit } from "./start-operations.js";
import { storedError, storedPayload, storedResponse } from "./stored-result.js";

const dayMs = 24 * 60 * 60 * 1000;

/** A name that no operation has: its last segment is not an id. */
const unusedName = "operations/-";

/** How long a start waits for the recovery of unfinished operations, in milliseconds. */
const recoveryWaitMs = 5000;

/**
 * Creates an operations server. It owns the store, the dispatcher and the signals in the options,
 * and closes them in `shutdown`.
 *
 * ```ts
 * const operations = createOperations({ store: await createSqliteStore({ path: "jobs.db" }) });
 * const routes = (router: ConnectRouter) => {
 *   router.service(Operations, operations.service);
 *   router.rpc(PrintService.method.print, operations.handle(Print, print));
 * };
 * ```
 *
 * @throws RangeError for an option out of its bounds.
 * @example
 * const operations = createOperations({ retentionMs: 24 * 3_600_000 });
 * const server = createServer({
 *   operations,
 *   routes(router) {
 *     router.service(Operations, operations.service);
 *     router.service(PrintService, { print: operations.handle(Print, ({ request }) => ({ pages: request.pages })) });
 *   },
 * });
 */
export function createOperations(options: OperationsOptions = {}): OperationsServer {
  // Options and their defaults.
  const clock = options.clock ?? systemClock;
  const store = options.store ?? createMemoryStore({ clock });
  const dispatcher = options.dispatcher ?? createInProcessDispatcher({ clock });
  const signals = options.signals ?? createInProcessSignals();
  const { observer } = options;
  const maxWaitMs = milliseconds("maxWaitMs", options.maxWaitMs ?? 25_000);
  const maxPageBytes = atLeastOne("maxPageBytes", options.maxPageBytes ?? 3.5 * 1024 * 1024);
  const reportIntervalMs = milliseconds("reportIntervalMs", options.reportIntervalMs ?? 100);
  const maxLostAttempts = atLeastOne("maxLostAttempts", options.maxLostAttempts ?? 10);
  const log = safely(logHookOf(options.log, clock));
  const authorize = createAuthorizer(store, options.authorize);
  if (dispatcher.isDurable && options.pageTokenKey === undefined) {
    log({ kind: "misconfigured", message: noPageTokenKey });
  }
  const pageTokens = createPageTokens(options.pageTokenKey);
  const methods = createMethods({
    retentionMs: milliseconds("retentionMs", options.retentionMs ?? 30 * dayMs),
    deadlineMs: optionalMilliseconds("deadlineMs", options.deadlineMs),
    deleteRunning: options.deleteRunning ?? "hide",
    cancellation: options.cancellation ?? true,
  });

  // The parts of the server. Each part uses the parts before it.
  const housekeeping = createHousekeeping({ store, clock, log });
  const { scheduleDeadline } = housekeeping;
  const deps = { store, dispatcher, signals, clock, log, observer, scheduleDeadline };
  const writer = createOperationWriter(deps);
  housekeeping.start(writer);
  const toView = createToView(methods);
  const starts = createOperationStarts({ ...deps, writer, toView });
  const runLoop = createRunLoop({
    ...{ ...deps, writer, reportIntervalMs, maxLostAttempts },
    responsesSent: starts.responsesSent,
  });
  const waiters = createOperationWaiters({ store, signals, clock, observer });
  const external = createExternalOperations(store, writer, toView);
  // A store in this process responds at once or blocks the process, so its calls need no signal.
  const boundByCall: BoundByCall = dispatcher.isDurable ? endsWithCall : (call) => call;
  const service = createOperationsService({
    ...{ store, authorize, writer, waiters, pageTokens, methods, toView, maxWaitMs, log, observer },
    boundByCall,
    maxPageBytes,
  });

  store.serveOperator?.({
    async deliverAgain(record) {
      runLoop.takeAway(record);
      await dispatcher.dispatch([dispatchedOperation(record)]);
    },
    failed: (cause) => log({ kind: "store-failed", action: "serve operators", cause }),
  });

  // The shutdown of the server.
  const startsUnderWay = new Set<Promise<unknown>>();
  let hasCreated = false;
  const notReady = new LazyAbortController();
  const stopRecovery = new LazyAbortController();
  const steps = createClosingSteps({
    ...{ ...deps, writer, waiters, runLoop, housekeeping },
    ...{ startsUnderWay, notReady, stopRecovery },
    drivesExternal: () => hasCreated || external.isUsed,
  });
  const closing = createClosing(clock, steps, handOverLimitMs);

  // The recovery and the first start.
  let isRecovered = false;
  let recovery: Promise<void> | undefined;
  const recover = () => {
    recovery ??= recoverOperations(deps, stopRecovery).then(
      () => {
        isRecovered = true;
      },
      () => {
        // The next start tries the recovery again.
        recovery = undefined;
      },
    );
    return recovery;
  };
  recover();
  void redispatchOperations(deps, stopRecovery);
  const assertAccepting = () => {
    if (closing.state !== "serving" && closing.state !== "not-ready") throw draining();
  };
  const start = async <I extends DescMessage>(
    method: LongRunningMethod<I>,
    request: MessageInitShape<I>,
    init: StartInit,
  ) => {
    assertAccepting();
    if (!isRecovered && !(await settlesWithin(recover(), clock, recoveryWaitMs))) {
      throw recovering();
    }
    assertAccepting();
    const started = starts.start(method, request, init);
    startsUnderWay.add(started);
    try {
      return await started;
    } finally {
      startsUnderWay.delete(started);
    }
  };
  const startInit = <I extends DescMessage, R extends DescMessage>(
    method: LongRunningMethod<I, R>,
    external: boolean,
    given: CreateOptions & Partial<Pick<HandledStart, "preview" | "tryNow" | "call">>,
  ): StartInit => {
    const policy = methods.use(method);
    return {
      external,
      name: given.name,
      parent: given.parent,
      principal: given.principal ?? "",
      resource: given.resource,
      parallel: given.parallel ?? policy.parallel,
      retentionMs: milliseconds("retentionMs", given.retentionMs ?? policy.retentionMs),
      deadlineMs: optionalMilliseconds("deadlineMs", given.deadlineMs ?? policy.deadlineMs),
      transaction: given.transaction,
      policy,
      preview:
        given.preview ?? (async () => storedResponse(method.response, create(method.response))),
      tryNow: given.tryNow,
      call: given.call,
    };
  };

  return {
    service,
    get draining() {
      return notReady.signal;
    },
    get state() {
      return closing.state;
    },
    handle(method, work, methodOptions = {}) {
      const name = fullName(method.method);
      // The options are checked here so that the declaration fails, not each start.
      const { maxConcurrent } = methodOptions;
      if (maxConcurrent !== undefined) atLeastOne("maxConcurrent", maxConcurrent);
      const retry = methodOptions.retry && createRetryPolicy(methodOptions.retry);
      const checkpoints = checkpointFormat(methodOptions.checkpoint);
      const policy = methods.handle(method, methodOptions);
      const runnable = { method, work, policy, retry, checkpoints };
      notifySafely(observer, (to) => to.handled?.(name));
      dispatcher.serve(name, (delivery) => runLoop.run(runnable, delivery), { maxConcurrent });
      const handler = createStartHandler(method, methodOptions, {
        assertAccepting,
        authorize,
        start: (request, init) => start(method, request, startInit(method, false, init)),
      });
      return createMethodHandler(name, boundByCall(handler), operationForms, { log, observer });
    },
    start: async (method, request, given = {}) =>
      operationMessage(await start(method, request, startInit(method, false, given))),
    create: async (method, request, given = {}) => {
      hasCreated = true;
      return operationMessage(await start(method, request, startInit(method, true, given)));
    },
    report: async (method, name, metadata) => {
      const policy = methods.use(method);
      return external.report(name, method, (record) => {
        const withStandard = policy.metadata?.aroundReportsOf(record);
        return storedPayload(method.metadata, metadata, withStandard);
      });
    },
    succeed: async (method, name, response) => {
      methods.use(method);
      return external.end(name, method, storedResponse(method.response, response));
    },
    fail: (name, error) => external.end(name, undefined, storedError(error)),
    async timesOf(name) {
      const record = await store.get(name);
      return (
        record && {
          createTimeMs: record.createTimeMicros / 1000,
          updateTimeMs: record.updateTimeMicros / 1000,
          expireTimeMs: record.expireTimeMicros && record.expireTimeMicros / 1000,
        }
      );
    },
    async checkStore() {
      await store.get(unusedName);
    },
    shutdown({ graceMs = 10_000, drainDelayMs = 0 } = {}) {
      return closing.close({
        graceMs: inRange("graceMs", graceMs, 0, longestMs),
        drainDelayMs: inRange("drainDelayMs", drainDelayMs, 0, graceMs),
      });
    },
  };
}

/** Wraps a log hook so that its exceptions and rejections do not reach the work. */
function safely(log: (event: OperationsEvent) => unknown): (event: OperationsEvent) => void {
  return (event) => {
    const logged = new Promise<unknown>((resolve) => {
      resolve(log(event));
    });
    logged.catch(() => undefined);
  };
}
