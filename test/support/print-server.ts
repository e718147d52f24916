import { createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import {
  createLongRunningClient,
  createOperationsClient,
  type LongRunningMethod,
  longRunning,
  type OperationsClient,
} from "../../src/index.js";
import { Operations } from "../../src/protos.js";
import {
  createOperations,
  type MethodOptions,
  type OperationsEvent,
  type OperationsOptions,
  type OperationsServer,
  type Work,
} from "../../src/server/index.js";
import { createManualClock, type ManualClock } from "../../src/testing/index.js";
import {
  PrintMetadataSchema,
  type PrintRequestSchema,
  PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";

/** The long-running method that most tests are about. */
export const Print = longRunning(PrintService.method.print, {
  response: PrintResponseSchema,
  metadata: PrintMetadataSchema,
});

export type PrintWork =
  typeof Print extends LongRunningMethod<infer I, infer R, infer M> ? Work<I, R, M> : never;

/** A server with the print service in this process, and clients of it. */
export interface PrintServer {
  clock: ManualClock;
  operations: OperationsServer;
  transport: Transport;
  /** Starts printing, with a typed handle. */
  printer: ReturnType<typeof createPrinter>;
  client: OperationsClient;
  /** The bare RPCs. */
  rpc: ReturnType<typeof createRpc>;
  /** What the log hook heard. */
  events: OperationsEvent[];
}

const createPrinter = (transport: Transport, clock: ManualClock) =>
  createLongRunningClient({ print: Print }, transport, { clock, poll: { jitter: 0 } });
const createRpc = (transport: Transport) => createClient(Operations, transport);

/** The server's options, those of its one method, and a clock that the test has at hand. */
export interface PrintServerOptions extends OperationsOptions {
  method?: MethodOptions<typeof PrintRequestSchema>;
  clock?: ManualClock;
}

/** Serve `work`, in process and on a manual clock. */
export function createPrintServer(work: PrintWork, options: PrintServerOptions = {}): PrintServer {
  const events: OperationsEvent[] = [];
  const { method, clock = createManualClock(), ...rest } = options;
  const operations = createOperations({
    clock,
    log: (event) => events.push(event),
    ...rest,
  });
  const transport = createRouterTransport((router) => {
    router.service(PrintService, { print: operations.handle(Print, work, method) });
    router.service(Operations, operations.service);
  });
  return {
    clock,
    operations,
    transport,
    printer: createPrinter(transport, clock),
    client: createOperationsClient(transport, { clock, poll: { jitter: 0 } }),
    rpc: createRpc(transport),
    events,
  };
}
