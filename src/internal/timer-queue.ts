import { type Clock, monotonicMs } from "./clock.js";
import { longestMs } from "./option-bounds.js";

/** A timer with its position in the queue. Only the queue writes to it. */
export interface QueuedTimer {
  /** The time at which the timer is due, by the queue's time. */
  dueMs: number;
  /** Index in the queue, -1 while the timer is not in it. */
  place: number;
  /** Called once when the timer is due, after its removal from the queue. Must not throw. */
  onDue(): void;
}

/**
 * A queue of timers that share one timer of the clock, so that a pending timer costs one array
 * element.
 *
 * Setting the machine's date does not move a timer if the clock has `monotonicMs`. Without it, a
 * date that is set while timers are pending moves them by a second at most: the queue derives the
 * elapsed time from the delay of the clock's timer, and only its lateness from `nowMs`.
 */
export interface TimerQueue {
  /** Adds a timer that is due after `delayMs` milliseconds. It must not be in the queue. */
  add(timer: QueuedTimer, delayMs: number): void;
  /** Removes a timer. No effect if the queue does not contain it. */
  remove(timer: QueuedTimer): void;
}

/** Longest lateness of a timer, in milliseconds. A larger one means that the date was set. */
const maxLateMs = 1000;

const never = Number.POSITIVE_INFINITY;

/**
 * @param options `background`: the timers do not keep the program alive, and the queue leaves its
 *   timer of the clock set when it becomes empty. This suits a queue to which every call adds a
 *   timer and removes it soon. Default: false.
 */
export function createTimerQueue(
  clock: Clock,
  { background = false }: { readonly background?: boolean } = {},
): TimerQueue {
  /** A binary heap by `dueMs`. */
  const heap: QueuedTimer[] = [];
  /** The queue's time when the clock showed `baseNowMs`; it never goes back. */
  let baseMs = 0;
  let baseNowMs = monotonicMs(clock);
  /** The time at which the clock's timer is due, by the queue's time. Infinite if no timer is set. */
  let armedMs = never;
  let disarm = () => {};

  /** Moves the base on to the present, within the bounds of the time that can have passed. */
  const advance = (leastMs: number, mostMs: number) => {
    const nowMs = monotonicMs(clock);
    baseMs += Math.min(Math.max(nowMs - baseNowMs, leastMs), mostMs);
    baseNowMs = nowMs;
  };

  const arm = () => {
    const first = heap[0];
    // A timer that fires before the first item is due is armed again, because most items are
    // removed before they are due.
    if (first !== undefined && armedMs <= first.dueMs) return;
    disarm();
    armedMs = never;
    if (first === undefined) return;
    // A delay above this limit would fire early, and would count as elapsed.
    armedMs = Math.min(first.dueMs, baseMs + longestMs);
    disarm = clock.schedule(armedMs - baseMs, fire, { background });
  };

  const fire = () => {
    const leastMs = armedMs - baseMs;
    armedMs = never;
    advance(leastMs, leastMs + maxLateMs);
    for (let first = heap[0]; first !== undefined && first.dueMs <= baseMs; first = heap[0]) {
      takeOut(first);
      first.onDue();
    }
    arm();
  };

  /** Inserts a timer at this index, or above or below it to keep the order of the heap. */
  const settle = (timer: QueuedTimer, from: number) => {
    let place = from;
    const put = (moved: QueuedTimer, at: number) => {
      heap[place] = moved;
      moved.place = place;
      place = at;
    };
    for (;;) {
      const at = (place - 1) >> 1;
      const above = heap[at];
      if (above === undefined || above.dueMs <= timer.dueMs) break;
      put(above, at);
    }
    for (;;) {
      let at = 2 * place + 1;
      const right = heap[at + 1];
      if (right !== undefined && right.dueMs < (heap[at]?.dueMs ?? 0)) at += 1;
      const least = heap[at];
      if (least === undefined || least.dueMs >= timer.dueMs) break;
      put(least, at);
    }
    put(timer, place);
  };

  const takeOut = (timer: QueuedTimer) => {
    const { place } = timer;
    timer.place = -1;
    const last = heap.pop();
    if (last !== undefined && last !== timer) settle(last, place);
  };

  return {
    add(timer, delayMs) {
      advance(0, armedMs - baseMs);
      timer.dueMs = baseMs + Math.max(0, delayMs);
      settle(timer, heap.length);
      arm();
    },
    remove(timer) {
      if (timer.place === -1) return;
      takeOut(timer);
      if (heap.length === 0 && !background) arm();
    },
  };
}
