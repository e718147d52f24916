import { type DescMessage, isMessage, type MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, Transport } from "@connectrpc/connect";
import { systemClock } from "../internal/clock.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { type Operation, OperationSchema } from "../protos.js";
import { createOperationCalls } from "./operation-calls.js";
import { createOperationHandle, type OperationHandle } from "./operation-handle.js";
import type { ClientOptions } from "./operations-client.js";

/** Starts an operation and resolves to its handle as soon as the server has accepted it. */
export type StartMethod<L extends LongRunningMethod> =
  L extends LongRunningMethod<infer I, infer R, infer M>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<OperationHandle<R, M>>
    : never;

/** One function for each long-running method, under the name it was given. */
export type LongRunningClient<Methods extends Record<string, LongRunningMethod>> = {
  readonly [Name in keyof Methods]: StartMethod<Methods[Name]>;
};

/**
 * A typed client of long-running methods; they and google.longrunning.Operations
 * are called through the same transport. `options` of a start hold for the start
 * alone and not for the polls that follow.
 */
export function createLongRunningClient<Methods extends Record<string, LongRunningMethod>>(
  methods: Methods,
  transport: Transport,
  options: ClientOptions = {},
): LongRunningClient<Methods> {
  const calls = createOperationCalls(transport, options.clock ?? systemClock);
  const starts: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(methods)) {
    starts[name] = async (request: MessageInitShape<DescMessage>, callOptions?: CallOptions) =>
      createOperationHandle(calls, method, await start(transport, method, request, callOptions));
  }
  return starts as LongRunningClient<Methods>;
}

async function start(
  transport: Transport,
  { method }: LongRunningMethod,
  request: MessageInitShape<DescMessage>,
  options: CallOptions = {},
): Promise<Operation> {
  const { signal, timeoutMs, headers, contextValues } = options;
  const response = await transport.unary(
    method,
    signal,
    timeoutMs,
    headers,
    request,
    contextValues,
  );
  options.onHeader?.(response.header);
  options.onTrailer?.(response.trailer);
  const { message } = response;
  // Also one of a project's own copy of the proto: it is the name that counts.
  if (isMessage(message, OperationSchema)) return message;
  throw new TypeError(`${fullName(method)} returned a ${message.$typeName}, not an Operation`);
}
