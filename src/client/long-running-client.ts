import type {
  DescMessage,
  DescService,
  MessageInitShape,
  MessageShape,
  Registry,
} from "@bufbuild/protobuf";
import type { CallOptions, Transport } from "@connectrpc/connect";
import { tell } from "../internal/tell.js";
import {
  type LongRunningMethod,
  type LongRunningMethodsOf,
  longRunningMethodsOf,
} from "../operation/index.js";
import type { ClientOptions } from "./client-options.js";
import { createOperationHandle, type OperationHandle } from "./operation-handle.js";
import { createClientCore, resumeOperation } from "./operations-client.js";
import type { ResumeToken } from "./resume-token.js";
import { type StartOptions, startOperation } from "./start-operation.js";
import type { ClientCore } from "./tracked-operation.js";

/** A long-running method, ready to be called. */
export interface StartMethod<I extends DescMessage, R extends DescMessage, M extends DescMessage> {
  /**
   * Start an operation; resolves to its handle as soon as the server has accepted
   * it. A `request_id` (AIP-155) that is empty is filled in.
   *
   * @throws ConnectError of the call.
   */
  (
    request: MessageInitShape<I>,
    options?: StartOptions,
  ): Promise<OperationHandle<MessageShape<R>, MessageShape<M>>>;
  /** Take up an operation that this method started: as `OperationsClient.resume`. */
  resume(
    from: string | ResumeToken,
    options?: CallOptions,
  ): Promise<OperationHandle<MessageShape<R>, MessageShape<M>>>;
}

/** One function for each long-running method, under the name it was given. */
export type LongRunningClient<Methods extends Record<string, LongRunningMethod>> = {
  readonly [Name in keyof Methods]: Methods[Name] extends LongRunningMethod<
    infer I,
    infer R,
    infer M
  >
    ? StartMethod<I, R, M>
    : never;
};

/**
 * A typed client of long-running methods; they and google.longrunning.Operations
 * are called through the same transport.
 *
 * @throws RangeError for an option out of its bounds.
 */
export function createLongRunningClient<Methods extends Record<string, LongRunningMethod>>(
  methods: Methods,
  transport: Transport,
  options?: ClientOptions,
): LongRunningClient<Methods>;
/**
 * The same for all methods of a service that return google.longrunning.Operation.
 * Their response and metadata types are looked up at run time, in the service's
 * file, what it imports, and `registry`; statically they are `Message`.
 *
 * @throws TypeError if the `operation_info` of one of them is missing, or names a
 *   type that is found nowhere (AIP-4210).
 */
export function createLongRunningClient<Service extends DescService>(
  service: Service,
  transport: Transport,
  options?: ClientOptions & { registry?: Registry | undefined },
): LongRunningClient<LongRunningMethodsOf<Service>>;
export function createLongRunningClient(
  from: Record<string, LongRunningMethod> | DescService,
  transport: Transport,
  options: ClientOptions & { registry?: Registry | undefined } = {},
): LongRunningClient<Record<string, LongRunningMethod>> {
  const core = createClientCore(transport, options);
  const methods = isService(from) ? longRunningMethodsOf(from, options.registry) : from;
  return Object.fromEntries(
    Object.entries(methods).map(([name, method]) => [name, startMethod(core, transport, method)]),
  );
}

function startMethod(
  core: ClientCore,
  transport: Transport,
  method: LongRunningMethod,
): StartMethod<DescMessage, DescMessage, DescMessage> {
  const { observer } = core.settings;
  const start = async (request: MessageInitShape<DescMessage>, options: StartOptions = {}) => {
    const started = await startOperation(transport, core, method, request, options);
    const { operation, requestId } = started;
    // The operation runs, and its caller gets the handle whatever the observer does.
    const link = tell(observer, (to) => to.operationStarted?.(operation));
    return createOperationHandle(core, method, operation, { isFresh: true, requestId, link });
  };
  return Object.assign(start, {
    resume: (from: string | ResumeToken, options?: CallOptions) =>
      resumeOperation(core, method, from, options),
  });
}

function isService(from: Record<string, LongRunningMethod> | DescService): from is DescService {
  return "kind" in from && from.kind === "service";
}
