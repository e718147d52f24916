import { createClient, type Transport } from "@connectrpc/connect";
import {
  createLongRunningClient,
  createOperationsClient,
  type LongRunningMethod,
  longRunning,
  type OperationsClient,
} from "../../src/index.js";
import { Operations } from "../../src/protos.js";
import type { MethodOptions, Work } from "../../src/server/index.js";
import {
  createTestOperations,
  type ManualClock,
  type TestOperations,
  type TestOperationsOptions,
} from "../../src/testing/index.js";
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
export interface PrintServer extends TestOperations {
  /** Starts printing, with a typed handle. */
  printer: ReturnType<typeof createPrinter>;
  client: OperationsClient;
  /** The bare RPCs. */
  rpc: ReturnType<typeof createRpc>;
}

const createPrinter = (transport: Transport, clock: ManualClock) =>
  createLongRunningClient({ print: Print }, transport, { clock, poll: { jitter: 0 } });
const createRpc = (transport: Transport) => createClient(Operations, transport);

/** The server's options, and those of its one method. */
export interface PrintServerOptions extends TestOperationsOptions {
  method?: MethodOptions<typeof PrintRequestSchema, typeof PrintResponseSchema>;
}

/** Serve `work`, in process and on a manual clock. */
export function createPrintServer(work: PrintWork, options: PrintServerOptions = {}): PrintServer {
  const { method, ...rest } = options;
  const served = createTestOperations((router, operations) => {
    router.service(PrintService, { print: operations.handle(Print, work, method) });
  }, rest);
  const { transport, clock } = served;
  return {
    ...served,
    printer: createPrinter(transport, clock),
    client: createOperationsClient(transport, { clock, poll: { jitter: 0 } }),
    rpc: createRpc(transport),
  };
}
