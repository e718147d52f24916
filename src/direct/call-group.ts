import { systemClock } from "../internal/clock.js";
import { createTimerQueue, type TimerQueue } from "../internal/timer-queue.js";

/** One who is to hear of the group's abort. */
export interface GroupMember {
  groupAborted(reason: unknown): void;
}

/**
 * Calls that are under way and want to hear of their end: as many as there are, and as often as
 * they change.
 */
export interface CallGroup {
  add(member: GroupMember): void;
  delete(member: GroupMember): void;
  /** Their deadlines, over one timer. */
  readonly deadlines: TimerQueue;
}

/**
 * One listener for all: a signal finds the listener that is to be removed by going through
 * all that it has, which takes long where thousands of calls wait.
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
