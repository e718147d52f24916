import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { systemClock } from "../internal/clock.js";
import { atLeastOne } from "../internal/option-bounds.js";
import { settlesWithin } from "../internal/settles-within.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { parseOperationName } from "../operation/name.js";
import { createInProcessDispatcher } from "../store/memory/in-process-dispatcher.js";
import { createInProcessSignals } from "../store/memory/in-process-signals.js";
import { createMemoryStore } from "../store/memory/memory-store.js";
import type { OperationRecord } from "../store/operation-store.js";
import { createAuthorizer } from "./authorize.js";
import { inBothForms } from "./both-forms.js";
import { endsWithCall } from "./ends-with-call.js";
import { draining, recovering } from "./errors.js";
import { logToConsole, type OperationsEvent } from "./events.js";
import { createExternalOperations } from "./external-operations.js";
import { createHousekeeping } from "./housekeeping.js";
import { createKnownMethods } from "./known-methods.js";
import type { CreateOptions } from "./method-options.js";
import { createMethodPolicies, milliseconds, optionalMilliseconds } from "./method-policies.js";
import { createShowRecord, operationMessage, type ShownOperation } from "./operation-message.js";
import { createOperationWaiters } from "./operation-waiters.js";
import { operationForms } from "./operation-wire.js";
import type { OperationsOptions, OperationsServer } from "./operations-server.js";
import { type BoundByCall, createOperationsService } from "./operations-service.js";
import { createPageTokens } from "./page-token.js";
import { recoverOperations } from "./recover-operations.js";
import { stringFieldOf } from "./request-fields.js";
import { createRetryPolicy } from "./retry-policy.js";
import { createRunLoop } from "./run-loop.js";
import { createOperationStarts, type StartInit } from "./start-operations.js";
import { storedError, storedPayload, storedResponse } from "./stored-result.js";
import { createPublisher } from "./write-and-publish.js";

const dayMs = 24 * 60 * 60 * 1000;

/** How long a start waits, in milliseconds, while the queue is filled with what was unfinished. */
const recoveryWaitMs = 5000;

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
  const maxWaitMs = milliseconds("maxWaitMs", options.maxWaitMs ?? 60_000);
  const reportIntervalMs = milliseconds("reportIntervalMs", options.reportIntervalMs ?? 100);
  const maxLostAttempts = atLeastOne("maxLostAttempts", options.maxLostAttempts ?? 10);
  const log = (event: OperationsEvent) => {
    // A log that fails, at once or later, must not stand in the way of the work.
    const logged = new Promise<unknown>((resolve) => {
      resolve((options.log ?? logToConsole)(event));
    });
    logged.catch(() => undefined);
  };
  const authorize = createAuthorizer(store, options.authorize);
  const pageTokens = createPageTokens(options.pageTokenKey);
  const policies = createMethodPolicies({
    retentionMs: milliseconds("retentionMs", options.retentionMs ?? 30 * dayMs),
    deadlineMs: optionalMilliseconds("deadlineMs", options.deadlineMs),
    deleteRunning: options.deleteRunning ?? "hide",
    cancellation: options.cancellation ?? true,
  });
  const showRecord = createShowRecord(policies);
  const watch = (record: OperationRecord) => housekeeping.watch(record);
  const contracts = { store, dispatcher, signals, clock, log, observer: options.observer, watch };
  const publisher = createPublisher(contracts);
  const { writeAndPublish } = publisher;
  const housekeeping = createHousekeeping({ ...contracts, publisher });
  const waiters = createOperationWaiters({ store, signals, clock, observer: options.observer });
  const runLoop = createRunLoop({
    ...contracts,
    publisher,
    writeAndPublish,
    reportIntervalMs,
    maxLostAttempts,
  });
  const starts = createOperationStarts({ ...contracts, publisher, showRecord });
  const external = createExternalOperations(store, writeAndPublish, showRecord);
  const served = new Set<string>();
  const knownMethods = createKnownMethods();
  const startsUnderWay = new Set<Promise<unknown>>();
  const stopped = new AbortController();
  let isRecovered = false;
  const recovered = recoverOperations(contracts, stopped.signal).then(() => {
    isRecovered = true;
  });
  let stopping: Promise<void> | undefined;

  const start = async <I extends DescMessage>(
    method: LongRunningMethod<I>,
    request: MessageInitShape<I>,
    init: StartInit,
  ): Promise<ShownOperation> => {
    if (stopping !== undefined) throw draining();
    knownMethods.add(method);
    if (!isRecovered && !(await settlesWithin(recovered, clock, recoveryWaitMs))) {
      throw recovering();
    }
    if (stopping !== undefined) throw draining();
    const started = starts.start(method, request, init);
    startsUnderWay.add(started);
    try {
      return await started;
    } finally {
      startsUnderWay.delete(started);
    }
  };
  /** A start that the program makes itself. */
  const startInit = <I extends DescMessage, R extends DescMessage>(
    method: LongRunningMethod<I, R>,
    external: boolean,
    given: CreateOptions,
  ): StartInit => {
    const policy = policies.known(method);
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
      preview: async () => storedResponse(method.response, create(method.response)),
      tryNow: undefined,
    };
  };

  const shutdown = async (graceMs: number) => {
    stopped.abort(draining());
    waiters.drain();
    // A hook or a store that never answers a start must not keep the server from its end.
    const started = Promise.allSettled(startsUnderWay).then(() => undefined);
    await settlesWithin(started, clock, graceMs);
    const settled = dispatcher.stop();
    if (!(await settlesWithin(settled, clock, graceMs))) {
      runLoop.drain();
      if (!(await settlesWithin(settled, clock, graceMs))) {
        log({ kind: "work-abandoned", names: runLoop.running() });
      }
    }
    runLoop.close();
    housekeeping.close();
    publisher.close();
    const closed = await Promise.allSettled([signals.close(), store.close()]);
    for (const outcome of closed) {
      if (outcome.status === "rejected") {
        log({ kind: "store-failed", action: "close", cause: outcome.reason });
      }
    }
  };

  // A store in this process answers at once or blocks the process, and spares its calls the signal.
  const boundByCall: BoundByCall = dispatcher.isDurable ? endsWithCall : (answer) => answer;
  const service = createOperationsService({
    store,
    authorize,
    writeAndPublish,
    waiters,
    pageTokens,
    policies,
    showRecord,
    maxWaitMs,
    knownMethods,
    boundByCall,
    log,
  });
  return {
    service,
    draining: stopped.signal,
    handle(method, work, methodOptions = {}) {
      const name = fullName(method.method);
      if (served.has(name)) throw new TypeError(`${name} is handled already`);
      const { validateOnly, tryNow, maxConcurrent } = methodOptions;
      // Here, so that it is the declaration that a bad option fails and not each start.
      if (maxConcurrent !== undefined) atLeastOne("maxConcurrent", maxConcurrent);
      const retry = methodOptions.retry && createRetryPolicy(methodOptions.retry);
      const policy = policies.declare(method, methodOptions);
      served.add(name);
      knownMethods.add(method);
      const runnable = { method, work, policy, retry };
      dispatcher.serve(name, (delivery) => runLoop.run(runnable, delivery), { maxConcurrent });
      return inBothForms(
        name,
        boundByCall(async (request: MessageShape<typeof method.method.input>, context) => {
          if (stopping !== undefined) throw draining();
          const parent =
            methodOptions.parent?.(request) ??
            stringFieldOf(method.method.input, request, "parent") ??
            "";
          const operationName = methodOptions.name?.(request, context);
          // The parent that the operation will have, whatever the request says.
          const target =
            operationName === undefined
              ? parent
              : (parseOperationName(operationName)?.parent ?? operationName);
          const call = { action: "start", name: target, method: name, context } as const;
          const { principal } = await authorize(call);
          await methodOptions.validate?.(request, context);
          const init = startInit(method, false, {
            name: operationName,
            parent,
            principal,
            resource: methodOptions.resource?.(request),
          });
          if (validateOnly !== undefined) {
            init.preview = async () =>
              storedResponse(method.response, await validateOnly(request, context));
          }
          if (tryNow !== undefined) {
            init.tryNow = async () => {
              const response = await tryNow(request, context);
              return response === undefined ? undefined : storedResponse(method.response, response);
            };
          }
          return start(method, request, init);
        }),
        operationForms,
        log,
      );
    },
    start: async (method, request, given = {}) =>
      operationMessage(await start(method, request, startInit(method, false, given))),
    create: async (method, request, given = {}) =>
      operationMessage(await start(method, request, startInit(method, true, given))),
    report: async (method, name, metadata) => {
      knownMethods.add(method);
      return external.report(name, method, (record) => {
        const withStandard = policies.known(method).metadata?.aroundReportsOf(record.request);
        return storedPayload(method.metadata, metadata, withStandard);
      });
    },
    succeed: async (method, name, response) => {
      knownMethods.add(method);
      return external.end(name, method, storedResponse(method.response, response));
    },
    fail: (name, error) => external.end(name, undefined, storedError(error)),
    shutdown({ graceMs = 10_000 } = {}) {
      stopping ??= shutdown(milliseconds("graceMs", graceMs));
      return stopping;
    },
  };
}
