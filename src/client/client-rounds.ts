import { monotonicMs } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import { type BatchMember, createOperationBatch } from "./operation-batch.js";
import type { PollPolicy } from "./poll-policy.js";
import { type ClientCore, lastCallMs } from "./tracked-operation.js";
import type { WaitLimits } from "./wait-options.js";

/** The operations of one client that are followed together, in polling rounds. */
export interface ClientRounds {
  readonly policy: PollPolicy;
  add(member: BatchMember): void;
  /**
   * Polls all operations in rounds until none is open or the time limit expires. A last round of at
   * most 1 s follows the time limit.
   *
   * @param filter Filter of the lists; empty for none.
   * @param over Aborts the calls in progress when no follower is left.
   * @throws ConnectError CANCELLED when `over` aborts; exceptions of the policy.
   */
  run(filter: string, over: AbortSignal): Promise<void>;
  /** Returns the total of the pauses between rounds, including the current one, in milliseconds. */
  pausedMs(): number;
  /** Returns the length of the latest pause, in milliseconds. */
  lastPauseMs(): number;
}

export function createClientRounds(
  core: ClientCore,
  { policy, timeoutMs }: WaitLimits,
): ClientRounds {
  const { clock } = core.calls;
  const nowMs = () => monotonicMs(clock);
  const members: BatchMember[] = [];
  let pausedMs = 0;
  let lastPauseMs = 0;
  let pauseStartMs: number | undefined;
  const currentPauseMs = () => (pauseStartMs === undefined ? 0 : nowMs() - pauseStartMs);

  const isOpen = () => members.some((member) => member.isOpen());
  const pause = async (delayMs: number, signal: AbortSignal) => {
    pauseStartMs = nowMs();
    try {
      await sleep(clock, delayMs, signal);
    } finally {
      lastPauseMs = currentPauseMs();
      pausedMs += lastPauseMs;
      pauseStartMs = undefined;
    }
  };

  return {
    policy,
    add: (member) => members.push(member),
    pausedMs: () => pausedMs + currentPauseMs(),
    lastPauseMs: () => lastPauseMs,
    async run(filter, over) {
      if (!isOpen()) return;
      const batch = createOperationBatch(core, members, filter, policy);
      let isLate = false;
      let polling = new AbortController();
      const cutShort = () => polling.abort();
      const onTimeout = () => {
        isLate = true;
        cutShort();
      };
      over.addEventListener("abort", cutShort, { once: true });
      let endTimer = timeoutMs === undefined ? undefined : clock.schedule(timeoutMs, onTimeout);
      try {
        // The server asked the client not to poll before that time.
        let leastMs = Math.max(0, ...members.map(({ notBeforeMs }) => notBeforeMs - nowMs()));
        for (let round = 1; isOpen(); round += 1) {
          await pause(Math.max(Math.ceil(policy.delayMs(round)) || 1, leastMs, 1), polling.signal);
          leastMs = await batch.poll(polling.signal);
        }
      } catch (error) {
        if (!isLate || over.aborted) throw error;
        polling = new AbortController();
        endTimer = clock.schedule(lastCallMs(core), cutShort);
        await batch.poll(polling.signal).catch((thrown: unknown) => {
          if (over.aborted || !polling.signal.aborted) throw thrown;
        });
      } finally {
        endTimer?.();
        over.removeEventListener("abort", cutShort);
      }
    },
  };
}
