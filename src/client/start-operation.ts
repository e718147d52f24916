import { create, type DescMessage, isMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { type CallOptions, Code, ConnectError, type Transport } from "@connectrpc/connect";
import { inRange } from "../internal/option-bounds.js";
import { stringField } from "../internal/scalar-field.js";
import { sleep } from "../internal/sleep.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { type Operation, OperationSchema } from "../protos.js";
import { createRequestId } from "./create-request-id.js";
import { retryHintMs } from "./retry-hint.js";
import type { ClientCore } from "./tracked-operation.js";

/** Options of a start; they hold for the start alone and not for the polls that follow. */
export interface StartOptions extends CallOptions {
  /**
   * How often the start is called in all while it fails with UNAVAILABLE. At least 1. Default: 3.
   *
   * A request without a `request_id` field is called once, because the server could not
   * recognize a second call as the same start (AIP-155, AIP-194).
   */
  maxTries?: number | undefined;
}

/** A start that the server has accepted. */
export interface StartedOperation {
  readonly operation: Operation;
  /** Undefined where the request has no such field. */
  readonly requestId: string | undefined;
}

/**
 * Start an operation, once: its request gets a `request_id` of its own where it has
 * such a field and the caller left it empty, and every try sends the same one.
 */
export async function startOperation(
  transport: Transport,
  { calls, settings }: ClientCore,
  { method }: LongRunningMethod,
  init: MessageInitShape<DescMessage>,
  options: StartOptions,
): Promise<StartedOperation> {
  const { maxTries = 3, ...callOptions } = options;
  inRange("maxTries", maxTries, 1);
  const request = create(method.input, init);
  const field = stringField(method.input, "request_id");
  let requestId: string | undefined;
  if (field !== undefined) {
    // A message that the caller handed in is left as it is.
    const fields = reflect(method.input, create(method.input, { ...request }));
    requestId = String(fields.get(field)) || createRequestId();
    fields.set(field, requestId);
    const operation = await withRetries(() => call(transport, method, fields.message, callOptions));
    return { operation, requestId };
  }
  return { operation: await call(transport, method, request, callOptions), requestId };

  async function withRetries(attempt: () => Promise<Operation>): Promise<Operation> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await attempt();
      } catch (thrown) {
        const error = ConnectError.from(thrown);
        if (error.code !== Code.Unavailable || tried >= maxTries) throw error;
        const delayMs = retryHintMs(error, calls.clock.nowMs()) ?? settings.poll.delayMs(tried);
        await sleep(calls.clock, delayMs, options.signal);
      }
    }
  }
}

async function call(
  transport: Transport,
  method: LongRunningMethod["method"],
  request: MessageInitShape<DescMessage>,
  options: CallOptions,
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
