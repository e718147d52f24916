import { type ConnectRouter, createRouterTransport, type Transport } from "@connectrpc/connect";
import { Operations } from "../protos.js";
import { createOperations } from "../server/create-operations.js";
import type { OperationsEvent } from "../server/events.js";
import type { OperationsOptions, OperationsServer } from "../server/operations-server.js";
import { createManualClock, type ManualClock } from "./manual-clock.js";

/** The server's options; what is left out is in memory. */
export interface TestOperationsOptions extends Omit<OperationsOptions, "log"> {
  /** Called with each event of the server. Default: none, `events` has them. */
  log?: ((event: OperationsEvent) => void) | undefined;
  /** Default: one of its own. Stores and dispatchers that you give should go by the same one. */
  clock?: ManualClock | undefined;
}

/** The real server, in this process and on a manual clock. */
export interface TestOperations {
  readonly operations: OperationsServer;
  /** Leads to your services and to google.longrunning.Operations. */
  readonly transport: Transport;
  /** What the server goes by; a client should too. */
  readonly clock: ManualClock;
  /** What the log hook heard so far. Nothing is printed. */
  readonly events: readonly OperationsEvent[];
}

/**
 * Serve long-running methods for a test: with the real semantics and your real work, in memory,
 * and no time passes but by `clock.advance`.
 *
 * @param routes Adds your services to the router, with handlers of `operations`;
 *   google.longrunning.Operations is there already.
 * @throws RangeError for an option out of its bounds.
 */
export function createTestOperations(
  routes: (router: ConnectRouter, operations: OperationsServer) => void,
  options: TestOperationsOptions = {},
): TestOperations {
  const events: OperationsEvent[] = [];
  const clock = options.clock ?? createManualClock();
  const operations = createOperations({
    ...options,
    clock,
    log(event) {
      events.push(event);
      // Handed back, so that the server hears of a hook that fails.
      return options.log?.(event);
    },
  });
  const transport = createRouterTransport((router) => {
    router.service(Operations, operations.service);
    routes(router, operations);
  });
  return { operations, transport, clock, events };
}
