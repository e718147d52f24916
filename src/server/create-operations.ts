import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { systemClock } from "../internal/clock.js";
import { atLeastOne, inRange } from "../internal/option-bounds.js";
import { settlesWithin } from "../internal/settles-within.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import { createInProcessDispatcher } from "../store/memory/in-process-dispatcher.js";
import { createInProcessSignals } from "../store/memory/in-process-signals.js";
import { createMemoryStore } from "../store/memory/memory-store.js";
import { createAuthorizer } from "./authorize.js";
import { draining, recovering } from "./errors.js";
import { logToConsole, type OperationsEvent } from "./events.js";
import { createExternalOperations } from "./external-operations.js";
import { guarded } from "./guarded.js";
import { createKnownMethods } from "./known-methods.js";
import { createOperationWaiters } from "./operation-waiters.js";
import type { OperationsOptions, OperationsServer, StartOptions } from "./operations-server.js";
import { createOperationsService } from "./operations-service.js";
import { createPageTokens } from "./page-token.js";
import { stringFieldOf } from "./request-id.js";
import { createRunLoop } from "./run-loop.js";
import { createOperationStarts, type StartInit } from "./start-operations.js";
import { storedError, storedPayload, storedResponse } from "./stored-result.js";
import { createWriteAndPublish } from "./write-and-publish.js";

const dayMs = 24 * 60 * 60 * 1000;

/** How often starts clear away what has expired, and how much at a time. */
const expireIntervalMs = 60_000;
const expirePageSize = 1000;

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
  const retentionMs = milliseconds("retentionMs", options.retentionMs ?? 30 * dayMs);
  const maxWaitMs = milliseconds("maxWaitMs", options.maxWaitMs ?? 60_000);
  const reportIntervalMs = milliseconds("reportIntervalMs", options.reportIntervalMs ?? 100);
  const maxAttempts = atLeastOne("maxAttempts", options.maxAttempts ?? 10);
  const log = (event: OperationsEvent) => {
    // A log that fails, at once or later, must not stand in the way of the work.
    const logged = new Promise<unknown>((resolve) => {
      resolve((options.log ?? logToConsole)(event));
    });
    logged.catch(() => undefined);
  };
  const authorize = createAuthorizer(store, options.authorize);
  const pageTokens = createPageTokens(options.pageTokenKey);
  const writeAndPublish = createWriteAndPublish(store, signals, log);
  const waiters = createOperationWaiters(store, signals, clock);
  const runLoop = createRunLoop({
    store,
    signals,
    writeAndPublish,
    clock,
    log,
    reportIntervalMs,
    maxAttempts,
  });
  const starts = createOperationStarts({ store, dispatcher, writeAndPublish, clock, log });
  const external = createExternalOperations(store, writeAndPublish);
  const served = new Set<string>();
  const knownMethods = createKnownMethods();
  const startsUnderWay = new Set<Promise<unknown>>();
  const stopped = new AbortController();
  let isRecovered = false;
  const recovered = starts.recover(stopped.signal).then(() => {
    isRecovered = true;
  });
  let stopping: Promise<void> | undefined;
  let lastExpiryMs = clock.nowMs();

  const expireNowAndThen = async () => {
    if (clock.nowMs() - lastExpiryMs < expireIntervalMs) return;
    lastExpiryMs = clock.nowMs();
    try {
      while ((await store.expire(expirePageSize)) === expirePageSize && stopping === undefined);
    } catch (cause) {
      log({ kind: "store-failed", action: "expire", cause });
    }
  };

  const start = async <I extends DescMessage>(
    method: LongRunningMethod<I>,
    request: MessageInitShape<I>,
    init: StartInit,
  ): Promise<Operation> => {
    if (stopping !== undefined) throw draining();
    knownMethods.add(method);
    void expireNowAndThen();
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
  const startInit = (external: boolean, given: StartOptions): StartInit => ({
    external,
    parent: given.parent,
    principal: given.principal ?? "",
    retentionMs: milliseconds("retentionMs", given.retentionMs ?? retentionMs),
    transaction: given.transaction,
  });

  const shutdown = async (graceMs: number) => {
    stopped.abort();
    await Promise.allSettled(startsUnderWay);
    waiters.drain();
    const settled = dispatcher.stop();
    if (!(await settlesWithin(settled, clock, graceMs))) {
      runLoop.drain();
      if (!(await settlesWithin(settled, clock, graceMs))) {
        log({ kind: "work-abandoned", names: runLoop.running() });
      }
    }
    runLoop.close();
    const closed = await Promise.allSettled([signals.close(), store.close()]);
    for (const outcome of closed) {
      if (outcome.status === "rejected") {
        log({ kind: "store-failed", action: "close", cause: outcome.reason });
      }
    }
  };

  const service = createOperationsService({
    store,
    authorize,
    writeAndPublish,
    waiters,
    pageTokens,
    maxWaitMs,
    knownMethods,
  });
  return {
    service: {
      listOperations: guarded("ListOperations", service.listOperations, log),
      getOperation: guarded("GetOperation", service.getOperation, log),
      deleteOperation: guarded("DeleteOperation", service.deleteOperation, log),
      cancelOperation: guarded("CancelOperation", service.cancelOperation, log),
      waitOperation: guarded("WaitOperation", service.waitOperation, log),
    },
    handle(method, work, methodOptions = {}) {
      const name = fullName(method.method);
      if (served.has(name)) throw new TypeError(`${name} is handled already`);
      const { retentionMs: ownRetentionMs } = methodOptions;
      // Here, so that it is the declaration that a bad option fails and not each start.
      startInit(false, { retentionMs: ownRetentionMs });
      served.add(name);
      knownMethods.add(method);
      dispatcher.serve(name, (delivery) => runLoop.run(method, work, delivery));
      return guarded(
        name,
        async (request, context) => {
          if (stopping !== undefined) throw draining();
          const parent =
            methodOptions.parent?.(request) ??
            stringFieldOf(method.method.input, request, "parent") ??
            "";
          const call = { action: "start", name: parent, method: name, context } as const;
          const { principal } = await authorize(call);
          await methodOptions.validate?.(request, context);
          const init = { parent, principal, retentionMs: ownRetentionMs };
          return start(method, request, startInit(false, init));
        },
        log,
      );
    },
    start: async (method, request, given = {}) => start(method, request, startInit(false, given)),
    create: async (method, request, given = {}) => start(method, request, startInit(true, given)),
    report: async (method, name, metadata) => {
      knownMethods.add(method);
      return external.report(name, method, storedPayload(method.metadata, metadata));
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

/** A time of whatever length that is not endless. */
function milliseconds(option: string, value: number): number {
  return inRange(option, value, 0, Number.MAX_SAFE_INTEGER);
}
