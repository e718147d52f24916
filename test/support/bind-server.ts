import { type Client, createClient } from "@connectrpc/connect";
import { type LongRunningMethod, longRunning } from "../../src/index.js";
import { Operations } from "../../src/protos.js";
import type { MethodOptions, Work } from "../../src/server/index.js";
import {
  createTestOperations,
  type TestOperations,
  type TestOperationsOptions,
} from "../../src/testing/index.js";
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

/** The server's options, those of BindBook, and the work of MendBook. */
export interface BindServerOptions extends TestOperationsOptions {
  method?: MethodOptions<typeof BindBookRequestSchema, typeof BookSchema>;
  mend?: MendWork;
}

/** A server with the bind service in this process, and the bare RPCs to it. */
export interface BindServer extends TestOperations {
  binder: Client<typeof BindService>;
  rpc: Client<typeof Operations>;
}

/** Serve `work`, in process and on a manual clock. */
export function createBindServer(work: BindWork, options: BindServerOptions = {}): BindServer {
  const { method, mend = () => ({}), ...rest } = options;
  const served = createTestOperations((router, operations) => {
    router.service(BindService, {
      bindBook: operations.handle(BindBook, work, method),
      mendBook: operations.handle(MendBook, mend),
    });
  }, rest);
  return {
    ...served,
    binder: createClient(BindService, served.transport),
    rpc: createClient(Operations, served.transport),
  };
}
