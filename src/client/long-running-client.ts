import type {
  DescMessage,
  DescService,
  MessageInitShape,
  MessageShape,
  Registry,
} from "@bufbuild/protobuf";
import type { CallOptions, Transport } from "@connectrpc/connect";
import { notifySafely } from "../internal/notify-safely.js";
import { withResponseTypes } from "../internal/response-types.js";
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
import { withTypeErrors } from "./unreadable-responses.js";

/** Starts the operations of one long-running method. */
export interface StartMethod<I extends DescMessage, R extends DescMessage, M extends DescMessage> {
  /**
   * Starts an operation. Resolves with its handle as soon as the server has accepted it. Generates
   * the `request_id` (AIP-155) if the request has such a field and it is empty.
   *
   * @throws RangeError if `maxTries` is less than 1.
   * @throws ConnectError of the call.
   * @throws OperationError of kind `malformed` if the operation is running and has no name.
   */
  (
    request: MessageInitShape<I>,
    options?: StartOptions,
  ): Promise<OperationHandle<MessageShape<R>, MessageShape<M>>>;
  /**
   * Resumes an operation that this method started, by its name or by a resume token.
   *
   * @throws OperationError of kind `invalid-token` before any call; of kind `gone` if the server does
   *   not have the operation.
   * @throws ConnectError of the call.
   */
  resume(
    from: string | ResumeToken,
    options?: CallOptions,
  ): Promise<OperationHandle<MessageShape<R>, MessageShape<M>>>;
}

/** A function for each long-running method, by the name that the caller gave it. */
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
 * Creates a typed client of long-running methods. It calls the methods and
 * google.longrunning.Operations through the same transport.
 *
 * @throws RangeError if an option is out of bounds.
 * @example
 * const Print = longRunning(PrintService.method.print, {
 *   response: PrintResponseSchema,
 *   metadata: PrintMetadataSchema,
 * });
 * const client = createLongRunningClient({ print: Print }, transport);
 * const { pages } = await (await client.print({ pages: 3 })).result();
 */
export function createLongRunningClient<Methods extends Record<string, LongRunningMethod>>(
  methods: Methods,
  transport: Transport,
  options?: ClientOptions,
): LongRunningClient<Methods>;
/**
 * Creates a client of all methods of a service that return google.longrunning.Operation. Their
 * response and metadata types are resolved at run time, in the service's file, in the files that it
 * imports, and in `registry`. Their static type is `Message`.
 *
 * @throws RangeError if an option is out of bounds.
 * @throws TypeError if a method has no `operation_info`, or it names an unknown type (AIP-4210).
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
  const methods = isService(from) ? longRunningMethodsOf(from, options.registry) : from;
  const types = Object.values(methods).flatMap(({ response, metadata }) => [response, metadata]);
  const typed = withResponseTypes(withTypeErrors(transport), types);
  const core = createClientCore(typed, options);
  return Object.fromEntries(
    Object.entries(methods).map(([name, method]) => [name, startMethod(core, typed, method)]),
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
    // The caller gets the handle even if the observer throws.
    const link = notifySafely(observer, (to) => to.operationStarted?.(started.operation));
    return createOperationHandle(core, method, started.operation, {
      ...started,
      startedHere: true,
      link,
    });
  };
  return Object.assign(start, {
    resume: (from: string | ResumeToken, options?: CallOptions) =>
      resumeOperation(core, method, from, options),
  });
}

function isService(from: Record<string, LongRunningMethod> | DescService): from is DescService {
  return "kind" in from && from.kind === "service";
}
