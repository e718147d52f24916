import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { type LongRunningMethod, longRunning } from "../../src/index.js";
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
  type BindBookRequestSchema,
  BindService,
  BookSchema,
  OddMetadataSchema,
  OperationMetadataSchema,
} from "../gen/binding/v1/binding_pb.js";

/** A method whose metadata has all the fields that Google's APIs have in common. */
export const BindBook = longRunning(BindService.method.bindBook, {
  response: BookSchema,
  metadata: OperationMetadataSchema,
});

/** A method whose metadata has some of them under other numbers and types. */
export const MendBook = longRunning(BindService.method.mendBook, {
  response: BookSchema,
  metadata: OddMetadataSchema,
});

type WorkOf<Method> =
  Method extends LongRunningMethod<infer I, infer R, infer M> ? Work<I, R, M> : never;
export type BindWork = WorkOf<typeof BindBook>;
export type MendWork = WorkOf<typeof MendBook>;

/** The server's options, those of BindBook, the work of MendBook, and a clock that the test has at hand. */
export interface BindServerOptions extends OperationsOptions {
  method?: MethodOptions<typeof BindBookRequestSchema, typeof BookSchema>;
  mend?: MendWork;
  clock?: ManualClock;
}

/** A server with the bind service in this process, and the bare RPCs to it. */
export interface BindServer {
  clock: ManualClock;
  operations: OperationsServer;
  binder: Client<typeof BindService>;
  rpc: Client<typeof Operations>;
  /** What the log hook heard. */
  events: OperationsEvent[];
}

/** Serve `work`, in process and on a manual clock. */
export function createBindServer(work: BindWork, options: BindServerOptions = {}): BindServer {
  const events: OperationsEvent[] = [];
  const { method, mend = () => ({}), clock = createManualClock(), ...rest } = options;
  const operations = createOperations({ clock, log: (event) => events.push(event), ...rest });
  const transport = createRouterTransport((router) => {
    router.service(BindService, {
      bindBook: operations.handle(BindBook, work, method),
      mendBook: operations.handle(MendBook, mend),
    });
    router.service(Operations, operations.service);
  });
  return {
    clock,
    operations,
    binder: createClient(BindService, transport),
    rpc: createClient(Operations, transport),
    events,
  };
}
