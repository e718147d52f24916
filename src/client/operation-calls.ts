import type { DescMessage, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import type { DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  type Client,
  Code,
  type ConnectError,
  createClient,
  type Transport,
} from "@connectrpc/connect";
import { callWithin } from "../internal/call-within.js";
import type { Clock } from "../internal/clock.js";
import { type Operation, type OperationSchema, Operations } from "../protos.js";
import { retryAfterMs } from "./retry-delay.js";
import { withRouting } from "./routing.js";
import { createWaitLength, type WaitLength } from "./wait-length.js";

/** A successful poll. */
export interface Polled {
  readonly operation: Operation;
  /** The response's `Retry-After`, in milliseconds; 0 if the response has no such header. */
  readonly retryAfterMs: number;
}

/** The polls of one client, and the client's knowledge of its server. */
export interface OperationCalls {
  readonly rpc: Client<typeof Operations>;
  readonly clock: Clock;
  readonly waitLength: WaitLength;
  /** Whether the server may have WaitOperation: false after it has responded UNIMPLEMENTED. */
  canWait(): boolean;
  /**
   * Returns how long a WaitOperation call may be held now, in milliseconds; 0 if the client must
   * poll by GetOperation because its calls have failed or too many are held already. A poll loop that
   * is denied a call is queued for one, until it gets one or leaves.
   *
   * @param loop Identifies the poll loop.
   */
  waitMs(loop: object): number;
  /** Whether a poll loop is queued for a held call. */
  isCrowded(): boolean;
  /** Removes a poll loop from the queue. */
  leave(loop: object): void;
  /** Polls by GetOperation. `limitMs` defaults to the client's `pollTimeoutMs`. */
  get(name: string, signal: AbortSignal, limitMs?: number): Promise<Polled>;
  /**
   * Polls by WaitOperation, which a server holds until the operation is done, for at most `heldMs`
   * milliseconds. Resolves with undefined if the server does not have the method.
   */
  wait(
    name: string,
    heldMs: number,
    signal: AbortSignal,
    loop: object,
  ): Promise<Polled | undefined>;
}

/** The limits of single calls. */
export interface CallLimits {
  /** Whether to call WaitOperation at all. */
  readonly tryWait: boolean;
  readonly maxWaitCallMs: number;
  readonly maxHeldWaits: number;
  /** How long a response may take beyond the time that the call is held: whole milliseconds. */
  readonly pollTimeoutMs: number;
}

/** Returns a duration of whole milliseconds, at least 0. */
export function durationOf(ms: number): MessageInitShape<typeof DurationSchema> {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 };
}

export function createOperationCalls(
  transport: Transport,
  clock: Clock,
  { tryWait, maxWaitCallMs, maxHeldWaits, pollTimeoutMs }: CallLimits,
): OperationCalls {
  const routed = withRouting(transport);
  const { getOperation, waitOperation } = Operations.method;
  const waitLength = createWaitLength(clock, maxWaitCallMs);
  let canWait = tryWait;
  let hasWaited = false;
  let held = 0;
  const queue = new Set<object>();

  const poll = async <I extends DescMessage>(
    method: DescMethodUnary<I, typeof OperationSchema>,
    request: MessageInitShape<I>,
    outer: AbortSignal,
    timeoutMs: number,
  ): Promise<Polled> => {
    const { message, header, trailer } = await callWithin(clock, timeoutMs, outer, (signal) =>
      routed.unary(method, signal, timeoutMs, undefined, request),
    );
    const nowMs = clock.nowMs();
    const delayMs = Math.max(retryAfterMs(header, nowMs), retryAfterMs(trailer, nowMs));
    return { operation: message, retryAfterMs: delayMs };
  };

  return {
    rpc: createClient(Operations, routed),
    clock,
    waitLength,
    canWait: () => canWait,
    waitMs(loop) {
      const ms = canWait ? waitLength.nextMs() : 0;
      if (ms === 0) return 0;
      let taken = held;
      for (const queued of queue) {
        if (queued === loop || taken >= maxHeldWaits) break;
        taken += 1;
      }
      if (taken < maxHeldWaits) return ms;
      queue.add(loop);
      return 0;
    },
    isCrowded: () => queue.size > 0,
    leave: (loop) => queue.delete(loop),
    get: (name, signal, limitMs = pollTimeoutMs) => poll(getOperation, { name }, signal, limitMs),
    async wait(name, heldMs, signal, loop) {
      // gRPC's timeout header holds whole numbers, and Connect does not round.
      const wholeMs = Math.ceil(heldMs);
      const request = { name, timeout: durationOf(wholeMs) };
      held += 1;
      queue.delete(loop);
      try {
        const polled = await poll(waitOperation, request, signal, wholeMs + pollTimeoutMs);
        hasWaited = true;
        return polled;
      } catch (error) {
        // After a successful poll, a 404 page comes from a proxy, not from the server.
        if (hasWaited || (error as ConnectError).code !== Code.Unimplemented) throw error;
        canWait = false;
        return undefined;
      } finally {
        held -= 1;
      }
    },
  };
}
