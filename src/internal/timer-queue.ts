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

export function createTimerQueue(clock: Clock): TimerQueue {
  /** A binary heap by `dueMs`. */
  const heap: QueuedTimer[] = [];
  /** The queue's own time when `nowMs` of the clock was `baseNowMs`; it never goes back. */
  let baseMs = 0;
  let baseNowMs = clock.nowMs();
  /** The one timer of the clock, and when it is due by the queue's time. */
  let armed: { readonly dueMs: number; readonly disarm: () => void } | undefined;

  /** Move the base on to now, by no more than can have gone by. */
  const advance = (leastMs: number, mostMs: number) => {
    const nowMs = clock.nowMs();
    const elapsedMs = Math.min(Math.max(nowMs - baseNowMs, leastMs), Math.max(mostMs, leastMs));
    baseMs += elapsedMs;
    baseNowMs = nowMs;
  };

  const arm = () => {
    const first = heap[0];
    if (first === undefined) {
      armed?.disarm();
      armed = undefined;
      return;
    }
    // One that comes too early is armed again then: most timers are removed before they are due.
    if (armed !== undefined && armed.dueMs <= first.dueMs) return;
    armed?.disarm();
    // A longer delay would end early, and be taken to have gone by.
    const dueMs = Math.min(first.dueMs, baseMs + longestMs);
    armed = { dueMs, disarm: clock.schedule(dueMs - baseMs, fire) };
  };

  const fire = () => {
    const leastMs = Math.max(0, (armed?.dueMs ?? baseMs) - baseMs);
    armed = undefined;
    advance(leastMs, leastMs + maxLateMs);
    for (let first = heap[0]; first !== undefined && first.dueMs <= baseMs; first = heap[0]) {
      takeOut(first);
      first.onDue();
    }
    arm();
  };

  const put = (timer: QueuedTimer, place: number) => {
    heap[place] = timer;
    timer.place = place;
  };

  const moveUp = (timer: QueuedTimer, from: number) => {
    let place = from;
    while (place > 0) {
      const above = heap[(place - 1) >>> 1];
      if (above === undefined || above.dueMs <= timer.dueMs) break;
      put(above, place);
      place = (place - 1) >>> 1;
    }
    put(timer, place);
  };

  const moveDown = (timer: QueuedTimer, from: number) => {
    let place = from;
    for (;;) {
      let below = 2 * place + 1;
      const [left, right] = [heap[below], heap[below + 1]];
      if (left !== undefined && right !== undefined && right.dueMs < left.dueMs) below += 1;
      const least = heap[below];
      if (least === undefined || least.dueMs >= timer.dueMs) break;
      put(least, place);
      place = below;
    }
    put(timer, place);
  };

  const takeOut = (timer: QueuedTimer) => {
    const { place } = timer;
    timer.place = -1;
    const last = heap.pop();
    if (last === undefined || last === timer) return;
    const above = heap[(place - 1) >>> 1];
    if (place > 0 && above !== undefined && above.dueMs > last.dueMs) moveUp(last, place);
    else moveDown(last, place);
  };

  return {
    add(timer, delayMs) {
      advance(0, armed === undefined ? Number.POSITIVE_INFINITY : armed.dueMs - baseMs);
      timer.dueMs = baseMs + Math.max(0, delayMs);
      moveUp(timer, heap.length);
      arm();
    },
    remove(timer) {
      if (timer.place === -1) return;
      takeOut(timer);
      if (heap.length === 0) arm();
    },
  };
}
