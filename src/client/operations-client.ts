import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError, type Transport } from "@connectrpc/connect";
import { inRange, longestMs } from "../internal/option-bounds.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import { type ClientOptions, clientSettings } from "./client-options.js";
import { createOperationCalls, durationOf } from "./operation-calls.js";
import { OperationError, withoutWait } from "./operation-error.js";
import { createOperationHandle, type OperationHandle } from "./operation-handle.js";
import { createOperationList, type ListRequest, type OperationList } from "./operation-list.js";
import { readResumeToken } from "./read-resume-token.js";
import { createResumeToken, type ResumeToken } from "./resume-token.js";
import { type ClientCore, deleteOperation } from "./tracked-operation.js";
import { withTypeErrors } from "./unreadable-responses.js";

/**
 * A client of google.longrunning.Operations, for any server that implements it. The methods reject
 * with the ConnectError of the call. A name that UTF-8 cannot encode is INVALID_ARGUMENT.
 */
export interface OperationsClient {
  /** Returns the latest state of an operation. */
  get(name: string, options?: CallOptions): Promise<Operation>;
  /** Lists the operations of a parent. The server decides about fields that the request leaves out. */
  list(request?: ListRequest, options?: CallOptions): OperationList;
  /**
   * Calls WaitOperation once. Resolves with the final state as soon as the operation is done, with
   * the latest state after `timeoutMs` (milliseconds; default: the server's limit), or earlier if the
   * server chooses to. `result()` of a handle waits until the operation is done.
   *
   * @throws RangeError if `timeoutMs` is out of bounds.
   */
  wait(name: string, timeoutMs?: number, options?: CallOptions): Promise<Operation>;
  /** Requests the cancellation. Resolves when the server has accepted the request. */
  cancel(name: string, options?: CallOptions): Promise<void>;
  /**
   * Deletes an operation on the server. Its work is not cancelled. This client's waits for it end
   * with kind `gone`.
   */
  delete(name: string, options?: CallOptions): Promise<void>;
  /**
   * Resumes an operation by its name, or by the resume token of a handle or an error. Polls it once.
   *
   * @throws OperationError of kind `invalid-token` before any call; of kind `gone` if the server does
   *   not have the operation.
   * @throws ConnectError of the call.
   */
  resume<R extends DescMessage, M extends DescMessage>(
    method: LongRunningMethod<DescMessage, R, M>,
    from: string | ResumeToken,
    options?: CallOptions,
  ): Promise<OperationHandle<MessageShape<R>, MessageShape<M>>>;
}

/**
 * Creates a client of the operations of one server.
 *
 * @throws RangeError if an option is out of bounds, with its name.
 * @example
 * const operations = createOperationsClient(transport);
 * for await (const { name, done } of operations.list({ name: "printers/7" })) {
 *   if (!done) await operations.cancel(name);
 * }
 */
export function createOperationsClient(
  transport: Transport,
  options: ClientOptions = {},
): OperationsClient {
  const core = createClientCore(withTypeErrors(transport), options);
  const { rpc } = core.calls;
  return {
    get: (name, callOptions) => rpc.getOperation({ name }, callOptions),
    list: (request = {}, callOptions) => createOperationList(core.calls, request, callOptions),
    async wait(name, timeoutMs, callOptions) {
      const timeout =
        timeoutMs === undefined
          ? undefined
          : durationOf(Math.ceil(inRange("timeoutMs", timeoutMs, 0, longestMs)));
      return rpc.waitOperation({ name, timeout }, callOptions);
    },
    async cancel(name, callOptions) {
      await rpc.cancelOperation({ name }, callOptions);
    },
    delete: (name, callOptions) => deleteOperation(core, name, callOptions),
    resume: (method, from, callOptions) => resumeOperation(core, method, from, callOptions),
  };
}

/** @internal */
export function createClientCore(transport: Transport, options: ClientOptions): ClientCore {
  const settings = clientSettings(options);
  return {
    calls: createOperationCalls(transport, settings.clock, settings),
    settings,
    pollers: new Map(),
  };
}

/** @internal */
export async function resumeOperation<R extends DescMessage, M extends DescMessage>(
  core: ClientCore,
  method: LongRunningMethod<DescMessage, R, M>,
  from: string | ResumeToken,
  options: CallOptions | undefined,
): Promise<OperationHandle<MessageShape<R>, MessageShape<M>>> {
  const token =
    typeof from === "string"
      ? createResumeToken(method, from, undefined)
      : readResumeToken(from, method);
  const { name, requestId } = token;
  try {
    const first = await core.calls.rpc.getOperation({ name }, options);
    return createOperationHandle(core, method, first, { requestId });
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    if (error.code !== Code.NotFound) throw error;
    throw new OperationError("gone", error, withoutWait(name, token, error));
  }
}
