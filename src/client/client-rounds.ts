import { sleep } from "../internal/sleep.js";
import { type BatchMember, createOperationBatch } from "./operation-batch.js";
import type { PollPolicy } from "./poll-policy.js";
import type { ClientCore } from "./tracked-operation.js";
import type { WaitLimits } from "./wait-options.js";

/** The operations of one client that are followed together, and when they are looked at. */
export interface ClientRounds {
  readonly policy: PollPolicy;
  add(member: BatchMember): void;
  /**
   * Look at all of them, round by round, until none is open or the time is up, which ends
   * with one last look.
   *
   * @param filter Of the lists; empty for none.
   * @param over Nobody follows any more: ends all that is under way.
   * @throws ConnectError `Code.Canceled` when `over` aborts; what the policy throws.
   */
  run(filter: string, over: AbortSignal): Promise<void>;
  /** How long it has paused between rounds so far, the present pause included, in milliseconds. */
  pausedMs(): number;
  /** How long the latest pause was, in milliseconds. */
  lastPauseMs(): number;
}

export function createClientRounds(
  core: ClientCore,
  { policy, timeoutMs }: WaitLimits,
): ClientRounds {
  const { clock } = core.calls;
  const members: BatchMember[] = [];
  let pausedMs = 0;
  let lastPauseMs = 0;
  let pauseStartMs: number | undefined;
  const presentPauseMs = () => (pauseStartMs === undefined ? 0 : clock.nowMs() - pauseStartMs);

  const isOpen = () => members.some((member) => member.isOpen());
  const pause = async (delayMs: number, signal: AbortSignal) => {
    pauseStartMs = clock.nowMs();
    try {
      await sleep(clock, delayMs, signal);
    } finally {
      lastPauseMs = presentPauseMs();
      pausedMs += lastPauseMs;
      pauseStartMs = undefined;
    }
  };

  return {
    policy,
    add: (member) => members.push(member),
    pausedMs: () => pausedMs + presentPauseMs(),
    lastPauseMs: () => lastPauseMs,
    async run(filter, over) {
      if (!isOpen()) return;
      const batch = createOperationBatch(core, members, filter, policy);
      let isLate = false;
      let looking = new AbortController();
      const cutShort = () => looking.abort();
      const onTimeout = () => {
        isLate = true;
        cutShort();
      };
      over.addEventListener("abort", cutShort, { once: true });
      const endTimeout = timeoutMs === undefined ? undefined : clock.schedule(timeoutMs, onTimeout);
      try {
        let hintMs: number | undefined;
        for (let round = 1; isOpen(); round += 1) {
          const delayMs = hintMs ?? (Math.max(policy.delayMs(round), 1) || 1);
          await pause(delayMs, looking.signal);
          hintMs = await batch.look(looking.signal);
        }
      } catch (error) {
        if (!isLate || over.aborted) throw error;
        looking = new AbortController();
        await batch.look(looking.signal);
      } finally {
        endTimeout?.();
        over.removeEventListener("abort", cutShort);
      }
    },
  };
}
