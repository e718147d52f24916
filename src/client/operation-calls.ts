import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type CallOptions,
  type Client,
  Code,
  ConnectError,
  createClient,
  type Transport,
} from "@connectrpc/connect";
import type { Clock } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import { type Operation, Operations } from "../protos.js";

/** The RPCs of one server, and what was learnt of it. All clients' waiting goes through here. */
export interface OperationCalls {
  readonly rpc: Client<typeof Operations>;
  /** Passing of time between polls. */
  readonly clock: Clock;
  /** Look at an operation again, with a pause; see `LookTimes`. */
  stateAfter(name: string, times: LookTimes, signal: AbortSignal | undefined): Promise<Operation>;
}

/** How long to wait before an operation is looked at again, in milliseconds. */
export interface LookTimes {
  /** Where the server has WaitOperation: the answer comes at the end or after this time. */
  waitMs: number;
  /** Where it does not: GetOperation after this time. */
  sleepMs: number;
}

/** How long an answer may take beyond the time that the server was asked to wait. */
const callTimeoutMs = 10_000;

/**
 * Least time between two WaitOperation calls of one wait: a server may answer
 * early, even at once (operations.proto).
 */
const minWaitMs = 1000;

export function createOperationCalls(transport: Transport, clock: Clock): OperationCalls {
  const rpc = createClient(Operations, transport);
  let hasWait = true;

  const byGet = async (name: string, sleepMs: number, signal: AbortSignal | undefined) => {
    await sleep(clock, sleepMs, signal);
    return rpc.getOperation({ name }, routed(name, { signal, timeoutMs: callTimeoutMs }));
  };

  return {
    rpc,
    clock,
    async stateAfter(name, { waitMs, sleepMs }, signal) {
      if (!hasWait) return byGet(name, sleepMs, signal);
      const startMs = clock.nowMs();
      // gRPC's timeout header holds whole numbers, and Connect passes on what it is given.
      const wholeMs = Math.ceil(waitMs);
      let operation: Operation;
      try {
        operation = await rpc.waitOperation(
          { name, timeout: durationFromMs(wholeMs) },
          routed(name, { signal, timeoutMs: wholeMs + callTimeoutMs }),
        );
      } catch (error) {
        if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
        hasWait = false;
        return byGet(name, sleepMs, signal);
      }
      const earlyMs = Math.min(waitMs, minWaitMs) - (clock.nowMs() - startMs);
      if (!operation.done && earlyMs > 0) await sleep(clock, earlyMs, signal);
      return operation;
    },
  };
}

/**
 * Call options with the routing header of Google's APIs, `x-goog-request-params`;
 * an empty name is not routed (AIP-4222). What the caller gave is left as it is.
 */
export function routed(
  name: string,
  { signal, ...options }: Omit<CallOptions, "signal"> & { signal?: AbortSignal | undefined } = {},
): CallOptions {
  const headers = new Headers(options.headers);
  if (name !== "") headers.set("x-goog-request-params", `name=${encodeURIComponent(name)}`);
  return { ...options, ...(signal && { signal }), headers };
}
