import type { DescMessage } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { CallOptions, Transport } from "@connectrpc/connect";
import { type Clock, systemClock } from "../internal/clock.js";
import type { OperationTypes } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import { createOperationCalls, routed } from "./operation-calls.js";
import { createOperationHandle, type OperationHandle } from "./operation-handle.js";
import { createOperationList, type ListRequest, type OperationList } from "./operation-list.js";

/** Options of a client. */
export interface ClientOptions {
  /** What pauses between polls go by. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/**
 * A client of google.longrunning.Operations, for any server that has it. What an
 * RPC rejects with is passed on: a ConnectError.
 */
export interface OperationsClient {
  /** The latest state of an operation. */
  get(name: string, options?: CallOptions): Promise<Operation>;
  /** The operations of a parent; all that the request leaves out is the server's default. */
  list(request?: ListRequest, options?: CallOptions): OperationList;
  /**
   * One WaitOperation call: the state as soon as the operation is done, or the
   * latest one when `timeoutMs` (milliseconds; default: the server's limit) is
   * over, or earlier as the server likes. A handle's `result()` waits to the end.
   */
  wait(name: string, timeoutMs?: number, options?: CallOptions): Promise<Operation>;
  /** Ask the server to cancel an operation; resolves when it has taken note. */
  cancel(name: string, options?: CallOptions): Promise<void>;
  /** Tell the server that nobody wants the result any more; the work goes on. */
  delete(name: string, options?: CallOptions): Promise<void>;
  /** Take up an operation by its name, in the state that it has now. */
  resume<R extends DescMessage, M extends DescMessage>(
    types: OperationTypes<R, M>,
    name: string,
    options?: CallOptions,
  ): Promise<OperationHandle<R, M>>;
}

export function createOperationsClient(
  transport: Transport,
  options: ClientOptions = {},
): OperationsClient {
  const calls = createOperationCalls(transport, options.clock ?? systemClock);
  const { rpc } = calls;
  const get = (name: string, callOptions?: CallOptions) =>
    rpc.getOperation({ name }, routed(name, callOptions));
  return {
    get,
    list: (request = {}, callOptions) => createOperationList(calls, request, callOptions),
    wait(name, timeoutMs, callOptions) {
      const timeout = timeoutMs === undefined ? undefined : durationFromMs(Math.round(timeoutMs));
      return rpc.waitOperation({ name, timeout }, routed(name, callOptions));
    },
    async cancel(name, callOptions) {
      await rpc.cancelOperation({ name }, routed(name, callOptions));
    },
    async delete(name, callOptions) {
      await rpc.deleteOperation({ name }, routed(name, callOptions));
    },
    async resume(types, name, callOptions) {
      return createOperationHandle(calls, types, await get(name, callOptions));
    },
  };
}
