import type { Clock } from "./clock.js";
import { longestMs } from "./option-bounds.js";

/** Something that falls due at a time, and knows its place in the queue. Only the queue writes to it. */
export interface QueuedTimer {
  /** By the queue's own time. */
  dueMs: number;
  /** -1 while it is not in the queue. */
  place: number;
  /** Called once when it is due, when it is out of the queue already. Must not throw. */
  onDue(): void;
}

/**
 * Many timers over one of the clock's: what waits costs a place in an array, and not a
 * timer with a callback of its own.
 *
 * A clock that is set back or ahead while timers are pending lengthens or shortens them by
 * a second at most: how much time went by is told from the delay of the clock's timer,
 * and from `nowMs` only how late it came.
 */
export interface TimerQueue {
  /** Have a timer fall due after `delayMs` milliseconds. It must not be in the queue. */
  add(timer: QueuedTimer, delayMs: number): void;
  /** Take a timer out; nothing where it is not in. */
  remove(timer: QueuedTimer): void;
}

/** A timer of the clock that comes later than this came on time, and the clock was set. */
const maxLateMs = 1000;

const never = Number.POSITIVE_INFINITY;

export function createTimerQueue(clock: Clock): TimerQueue {
  /** A binary heap by `dueMs`. */
  const heap: QueuedTimer[] = [];
  /** The queue's own time when `nowMs` of the clock was `baseNowMs`; it never goes back. */
  let baseMs = 0;
  let baseNowMs = clock.nowMs();
  /** When the one timer of the clock is due by the queue's time; never, where there is none. */
  let armedMs = never;
  let disarm = () => {};

  /** Move the base on to now, by no more than can have gone by. */
  const advance = (leastMs: number, mostMs: number) => {
    const nowMs = clock.nowMs();
    baseMs += Math.min(Math.max(nowMs - baseNowMs, leastMs), mostMs);
    baseNowMs = nowMs;
  };

  const arm = () => {
    const first = heap[0];
    // One that comes too early is armed again then: most timers are removed before they are due.
    if (first !== undefined && armedMs <= first.dueMs) return;
    disarm();
    armedMs = never;
    if (first === undefined) return;
    // A longer delay would end early, and be taken to have gone by.
    armedMs = Math.min(first.dueMs, baseMs + longestMs);
    disarm = clock.schedule(armedMs - baseMs, fire);
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

  /** Put a timer in at this place or where it belongs, above or below. */
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
      if (heap.length === 0) arm();
    },
  };
}
