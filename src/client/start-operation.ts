import {
  create,
  type DescMessage,
  isMessage,
  type MessageInitShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { type CallOptions, Code, type ConnectError, type Transport } from "@connectrpc/connect";
import { inRange } from "../internal/option-bounds.js";
import { scalarField } from "../internal/scalar-field.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { type Operation, OperationSchema } from "../protos.js";
import { createRequestId } from "./create-request-id.js";
import { namelessOperation } from "./errors.js";
import { OperationError, withoutWait } from "./operation-error.js";
import { withRetries } from "./retries.js";
import { retryAfterMs } from "./retry-delay.js";
import type { ClientCore } from "./tracked-operation.js";

/** Options of a start. They apply to the start alone, not to the polls after it. */
export interface StartOptions extends CallOptions {
  /**
   * Most calls of a start that fails with UNAVAILABLE, at least 1, if the request has a `request_id`,
   * by which the server recognizes them as one (AIP-155, AIP-194). A start without one is repeated only
   * if the server refused its stream, and so has not processed it. `timeoutMs` limits all of them
   * together. Default: 3.
   */
  maxTries?: number | undefined;
}

/** A start that the server has accepted. */
export interface StartedOperation {
  readonly operation: Operation;
  /** The `request_id` that was sent; undefined if the request has no such field. */
  readonly requestId: string | undefined;
  /** The response's `Retry-After`, in milliseconds; 0 if the response has no such header. */
  readonly retryAfterMs: number;
}

/**
 * Starts an operation once: each call of the start sends the same `request_id`, which is generated
 * if the caller left the field empty.
 *
 * @throws OperationError of kind `malformed` if the operation is running and has no name.
 */
export async function startOperation(
  transport: Transport,
  core: ClientCore,
  { method }: LongRunningMethod,
  init: MessageInitShape<DescMessage>,
  options: StartOptions,
): Promise<StartedOperation> {
  const { maxTries = 3, timeoutMs, signal, headers, contextValues } = options;
  inRange("maxTries", maxTries, 1);
  let request = create(method.input, init);
  const field = scalarField(method.input, "request_id", ScalarType.STRING);
  let requestId: string | undefined;
  if (field !== undefined) {
    // The caller's message is not changed.
    const fields = reflect(method.input, create(method.input, { ...request }));
    requestId = String(fields.get(field)) || createRequestId();
    fields.set(field, requestId);
    request = fields.message;
  }
  const retries = {
    maxTries,
    isRetryable: ({ code }: ConnectError) => code === Code.Unavailable && field !== undefined,
    timeoutMs,
    signal,
  };
  return withRetries(core, retries, async (leftMs) => {
    const { message, header, trailer } = await transport.unary(
      method,
      signal,
      leftMs,
      headers,
      request,
      contextValues,
    );
    options.onHeader?.(header);
    options.onTrailer?.(trailer);
    // A project's own copy of the proto is accepted too: the full name decides.
    if (!isMessage(message, OperationSchema)) {
      throw new TypeError(`${fullName(method)} returned ${message.$typeName}, not an Operation`);
    }
    if (message.name === "" && !message.done) {
      throw new OperationError("malformed", namelessOperation(fullName(method)), withoutWait(""));
    }
    return {
      operation: message,
      requestId,
      retryAfterMs: retryAfterMs(header, core.calls.clock.nowMs()),
    };
  });
}
