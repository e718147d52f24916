import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createOperationsClient, OperationError, type OperationsClient } from "../client/index.js";
import { operationStates } from "../client/operation-states.js";
import { withHeaders } from "../direct/with-headers.js";
import type { Clock } from "../internal/clock.js";
import type { Operation } from "../protos.js";
import { isRequestId, type JsonRpcRequest } from "./json-rpc.js";
import type { EnvelopeWriter } from "./operation-envelope.js";
import { createProgressNotifier } from "./progress-notifier.js";
import { type McpCall, metaOf } from "./protocol.js";

/** The unary methods behind the tools. Each call uses the credentials of one request. */
export interface Upstream {
  readonly transport: Transport;
  readonly operations: OperationsClient;
}

/** How often a poll of one wait may fail in a row. */
const maxConsecutiveFailures = 3;

export function upstreamOf(clock: Clock, { transport, headers }: McpCall): Upstream {
  const own = withHeaders(transport, headers);
  return {
    transport: own,
    operations: createOperationsClient(own, { clock, maxConsecutiveFailures }),
  };
}

/**
 * Waits for the end of an operation, with progress notifications if the request has a token for them.
 *
 * @returns the final state, or the latest one if the time is up.
 * @throws ConnectError if the operation cannot be read, or the request is cancelled.
 */
export async function waitForEnd(
  { operations }: Upstream,
  name: string,
  timeoutMs: number,
  { request, call, clock, envelopes }: WaitContext,
): Promise<Operation> {
  const { signal } = call;
  if (timeoutMs === 0) return operations.get(name, { signal });
  const token = metaOf(request).progressToken;
  const notifier =
    call.notify !== undefined && isRequestId(token)
      ? createProgressNotifier(token, call.notify)
      : undefined;
  let latest: Operation | undefined;
  try {
    for await (const operation of operationStates(operations, name, { clock, signal, timeoutMs })) {
      latest = operation;
      if (operation.done) continue;
      notifier?.show(envelopes.progressOf(operation), operation.metadata !== undefined);
    }
  } catch (error) {
    const isTimeout = error instanceof OperationError && error.kind === "timeout";
    if (!isTimeout || latest === undefined) throw error;
  }
  if (latest === undefined) throw new ConnectError("the wait ended without a state", Code.Internal);
  return latest;
}

export interface WaitContext {
  readonly request: JsonRpcRequest;
  readonly call: McpCall;
  readonly clock: Clock;
  readonly envelopes: EnvelopeWriter;
}
