import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type CallOptions, Code, ConnectError, type Transport } from "@connectrpc/connect";
import { inRange, longestMs } from "../internal/option-bounds.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import { type ClientOptions, clientSettings } from "./client-options.js";
import { createOperationCalls } from "./operation-calls.js";
import { OperationError, withoutWait } from "./operation-error.js";
import { createOperationHandle, type OperationHandle } from "./operation-handle.js";
import { createOperationList, type ListRequest, type OperationList } from "./operation-list.js";
import { readResumeToken } from "./read-resume-token.js";
import { createResumeToken, type ResumeToken } from "./resume-token.js";
import type { ClientCore } from "./tracked-operation.js";

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
  /**
   * Take up an operation in the state that it has now, by its name or by the token
   * of a handle or an error, parsed from JSON.
   *
   * @throws OperationError `invalid-token` before anything is asked of the server;
   *   `gone` if the server does not know the operation.
   */
  resume<R extends DescMessage, M extends DescMessage>(
    method: LongRunningMethod<DescMessage, R, M>,
    from: string | ResumeToken,
    options?: CallOptions,
  ): Promise<OperationHandle<MessageShape<R>, MessageShape<M>>>;
}

/**
 * Make a client of the operations that a transport leads to.
 *
 * @throws RangeError for an option out of its bounds, naming it.
 */
export function createOperationsClient(
  transport: Transport,
  options: ClientOptions = {},
): OperationsClient {
  const core = createClientCore(transport, options);
  const { rpc } = core.calls;
  return {
    get: (name, callOptions) => rpc.getOperation({ name }, callOptions),
    list: (request = {}, callOptions) => createOperationList(core.calls, request, callOptions),
    async wait(name, timeoutMs, callOptions) {
      const timeout =
        timeoutMs === undefined
          ? undefined
          : durationFromMs(Math.ceil(inRange("timeoutMs", timeoutMs, 0, longestMs)));
      return rpc.waitOperation({ name, timeout }, callOptions);
    },
    async cancel(name, callOptions) {
      await rpc.cancelOperation({ name }, callOptions);
    },
    async delete(name, callOptions) {
      await rpc.deleteOperation({ name }, callOptions);
    },
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
    return createOperationHandle(core, method, first, {
      isFresh: false,
      requestId,
      link: undefined,
    });
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    if (error.code !== Code.NotFound) throw error;
    throw new OperationError("gone", error, withoutWait(name, token, error));
  }
}
