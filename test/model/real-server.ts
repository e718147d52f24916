import { createClient, createRouterTransport } from "@connectrpc/connect";
import { Operations } from "../../src/protos.js";
import {
  createOperations,
  type OperationsOptions,
  type RunningOperation,
} from "../../src/server/index.js";
import {
  type PrintMetadataSchema,
  type PrintRequestSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";
import { createDeferred, type Deferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";

/** How the work of one attempt ends. */
export type Ending = { pages: number } | { error: unknown };

/** One attempt at an operation that the test holds the strings of. */
export interface Attempt {
  readonly operation: RunningOperation<typeof PrintRequestSchema, typeof PrintMetadataSchema>;
  readonly end: Deferred<Ending>;
}

/** The server that the model runs against, and how it passes time. */
export interface Subject {
  /** Lets the time pass that a shutdown may take; absent if the clock runs by itself. */
  readonly passTime?: () => Promise<void>;
  readonly options: OperationsOptions;
  /** Let what is under way happen, for a moment. */
  pause(): Promise<void>;
  /** How many pauses it takes at most until all has happened. */
  readonly maxPauses: number;
  /** Have an operation delivered once more, as after the loss of its worker. */
  redeliver?: ((name: string, method: string) => Promise<void>) | undefined;
}

/** A server whose work does what the test says. Even numbers of pages obey a cancellation. */
export type RealServer = ReturnType<typeof createRealServer>;

export function createRealServer(subject: Subject, maxLostAttempts: number) {
  const attempts = new Map<string, Attempt[]>();
  const operations = createOperations({
    ...subject.options,
    maxLostAttempts,
    reportIntervalMs: 0,
    log: () => undefined,
  });
  const print = operations.handle(Print, async (operation) => {
    const end = createDeferred<Ending>();
    attempts.set(operation.name, [...(attempts.get(operation.name) ?? []), { operation, end }]);
    if (operation.request.pages % 2 === 0) {
      operation.signal.addEventListener("abort", () => {
        end.resolve({ error: operation.signal.reason });
      });
      if (operation.signal.aborted) end.resolve({ error: operation.signal.reason });
    }
    const ending = await end.promise;
    if ("error" in ending) throw ending.error;
    return ending;
  });
  const transport = createRouterTransport((router) => {
    router.service(Operations, operations.service);
    router.rpc(Print.method, print);
  });
  return {
    operations,
    rpc: createClient(Operations, transport),
    printer: createClient(PrintService, transport),
    attemptsOf: (name: string) => attempts.get(name) ?? [],
    /** Checks until the check passes, because the expected change may take time. */
    async eventually(check: () => Promise<void>) {
      for (let paused = 0; ; paused += 1) {
        try {
          return await check();
        } catch (error) {
          if (paused >= subject.maxPauses) throw error;
          await subject.pause();
        }
      }
    },
    async close() {
      for (const each of [...attempts.values()].flat()) each.end.resolve({ pages: 0 });
      await subject.pause();
      const closed = operations.shutdown({ graceMs: 0 });
      await subject.passTime?.();
      await closed;
    },
    pause: subject.pause,
    redeliver: subject.redeliver,
  };
}
