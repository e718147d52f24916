import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError, type Transport } from "@connectrpc/connect";
import { callWithin } from "../internal/call-within.js";
import type { Clock } from "../internal/clock.js";
import type { Operation } from "../protos.js";
import { createRoutedRpc, type OperationsRpc } from "./routed-rpc.js";

/** The looks at the operations of one server, and what was learnt of it. */
export interface OperationCalls {
  readonly rpc: OperationsRpc;
  readonly clock: Clock;
  /** Whether the server may have WaitOperation: false once it has said that it has not. */
  canWait(): boolean;
  /** Look now, by GetOperation. */
  get(name: string, signal: AbortSignal): Promise<Operation>;
  /**
   * Look as soon as the operation is done, at the latest after `waitMs` milliseconds,
   * by WaitOperation. A server may answer early. Undefined from a server that does
   * not have the method.
   */
  wait(name: string, waitMs: number, signal: AbortSignal): Promise<Operation | undefined>;
}

/** The limits of single calls. */
export interface CallLimits {
  /** Whether to try WaitOperation at all. */
  readonly tryWait: boolean;
  /** How long an answer may take beyond the time that the server is asked to wait: whole milliseconds. */
  readonly pollTimeoutMs: number;
}

export function createOperationCalls(
  transport: Transport,
  clock: Clock,
  { tryWait, pollTimeoutMs }: CallLimits,
): OperationCalls {
  const rpc = createRoutedRpc(transport);
  let canWait = tryWait;
  return {
    rpc,
    clock,
    canWait: () => canWait,
    get: (name, outer) =>
      callWithin(clock, pollTimeoutMs, outer, (signal) =>
        rpc.getOperation({ name }, { signal, timeoutMs: pollTimeoutMs }),
      ),
    async wait(name, waitMs, outer) {
      // gRPC's timeout header holds whole numbers, and Connect passes on what it is given.
      const wholeMs = Math.ceil(waitMs);
      const timeoutMs = wholeMs + pollTimeoutMs;
      const timeout = durationFromMs(wholeMs);
      try {
        return await callWithin(clock, timeoutMs, outer, (signal) =>
          rpc.waitOperation({ name, timeout }, { signal, timeoutMs }),
        );
      } catch (error) {
        if ((error as ConnectError).code !== Code.Unimplemented) throw error;
        canWait = false;
        return undefined;
      }
    },
  };
}
