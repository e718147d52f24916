import { type ConnectRouter, createRouterTransport, type Transport } from "@connectrpc/connect";
import { Operations } from "../protos.js";
import { createOperations } from "../server/create-operations.js";
import type { OperationsEvent } from "../server/events.js";
import type { OperationsOptions, OperationsServer } from "../server/operations-server.js";
import { createManualClock, type ManualClock } from "./manual-clock.js";

/** The server's options. Default: everything is in memory. */
export interface TestOperationsOptions extends Omit<OperationsOptions, "log"> {
  /** Called with each event of the server. Default: none, `events` has them. */
  log?: ((event: OperationsEvent) => void) | undefined;
  /** Stores and dispatchers in these options must use the same clock. Default: a new manual clock. */
  clock?: ManualClock | undefined;
}

/** The real server, in this process and on a manual clock. */
export interface TestOperations {
  readonly operations: OperationsServer;
  /** Calls your services and google.longrunning.Operations. */
  readonly transport: Transport;
  /** The clock of the server. Give it to clients, too. */
  readonly clock: ManualClock;
  /** The events of the log so far. None is printed. */
  readonly events: readonly OperationsEvent[];
}

/**
 * Serves long-running methods for a test, with the real semantics and your real work, in memory.
 * Time passes only by `clock.advance`.
 *
 * @param routes Adds your services to the router, with handlers of `operations`.
 *   google.longrunning.Operations is added already.
 * @throws RangeError if an option is out of its bounds.
 * @example
 * const { clock, transport } = createTestOperations((router, operations) => {
 *   router.service(PrintService, { print: operations.handle(Print, () => ({ pages: 1 })) });
 * });
 * const printer = createLongRunningClient({ print: Print }, transport, { clock });
 * const { pages } = await (await printer.print({ pages: 1 })).result();
 */
export function createTestOperations(
  routes: (router: ConnectRouter, operations: OperationsServer) => void,
  options: TestOperationsOptions = {},
): TestOperations {
  const events: OperationsEvent[] = [];
  const clock = options.clock ?? createManualClock();
  const operations = createOperations({
    ...options,
    // The key is fixed, because page tokens in tests hide nothing, and a Worker cannot draw a key
    // at module level.
    pageTokenKey: options.pageTokenKey ?? new Uint8Array(32),
    clock,
    log(event) {
      events.push(event);
      // The result is returned so that the server can report a hook that rejects.
      return options.log?.(event);
    },
  });
  const transport = createRouterTransport((router) => {
    router.service(Operations, operations.service);
    routes(router, operations);
  });
  return { operations, transport, clock, events };
}
