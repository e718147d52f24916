import { systemClock } from "../internal/clock.js";
import { createTimerQueue, type TimerQueue } from "../internal/timer-queue.js";

/** A call that is notified of the group's abort. */
export interface GroupMember {
  groupAborted(reason: unknown): void;
}

/**
 * The calls in progress that are notified of their end.
 */
export interface CallGroup {
  add(member: GroupMember): void;
  delete(member: GroupMember): void;
  /** Their deadlines, over one timer. */
  readonly deadlines: TimerQueue;
}

/**
 * Adds one listener to the signal for all calls. A signal searches all of its listeners to
 * remove one, which is slow if thousands of calls wait.
 */
export function createCallGroup(shutdown: AbortSignal | undefined): CallGroup {
  const members = new Set<GroupMember>();
  shutdown?.addEventListener(
    "abort",
    () => {
      for (const member of members) member.groupAborted(shutdown.reason);
    },
    { once: true },
  );
  return {
    add(member) {
      if (shutdown?.aborted) member.groupAborted(shutdown.reason);
      else members.add(member);
    },
    delete: (member) => members.delete(member),
    deadlines: createTimerQueue(systemClock),
  };
}
