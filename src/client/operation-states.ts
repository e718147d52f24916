import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { Clock } from "../internal/clock.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import { type Operation, Operations } from "../protos.js";
import type { OperationsClient } from "./operations-client.js";

/** How often a server that cannot hold a call is asked. */
const poll = { initialDelayMs: 500, maxDelayMs: 5000 };

/**
 * A method whose payloads are of whatever type: this side knows none of them, so it reads the
 * operation of each snapshot and nothing else.
 */
const anyMethod: LongRunningMethod = {
  method: Operations.method.getOperation,
  response: AnySchema,
  metadata: AnySchema,
};

/** Limits of following one operation. */
export interface StatesOptions {
  readonly clock: Clock;
  /** Aborts the following; the operation goes on. */
  readonly signal: AbortSignal;
  /** In milliseconds. Undefined: without end. */
  readonly timeoutMs: number | undefined;
}

/**
 * The states of an operation as they change, the present one first and the final one last.
 *
 * @throws ConnectError where the first look fails; then OperationError of kind `gone`, `poll`,
 *   `timeout` or `aborted`.
 */
export async function* operationStates(
  client: OperationsClient,
  name: string,
  { clock, signal, timeoutMs }: StatesOptions,
): AsyncGenerator<Operation, void> {
  const startMs = clock.nowMs();
  const handle = await client.resume(anyMethod, name, {
    signal,
    timeoutMs:
      timeoutMs === undefined ? firstLookTimeoutMs : Math.min(timeoutMs, firstLookTimeoutMs),
  });
  const leftMs =
    timeoutMs === undefined ? undefined : Math.max(0, timeoutMs - (clock.nowMs() - startMs));
  for await (const { operation } of handle.watch({ signal, timeoutMs: leftMs, poll })) {
    yield operation;
  }
}

/** How long the first look takes at most, in milliseconds. */
const firstLookTimeoutMs = 30_000;
