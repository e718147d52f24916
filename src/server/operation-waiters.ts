import type { CallEnd, CallEndListener } from "../internal/call-end.js";
import { canceledBy } from "../internal/canceled-by.js";
import type { Clock } from "../internal/clock.js";
import { tell } from "../internal/tell.js";
import { createTimerQueue, type QueuedTimer, type TimerQueue } from "../internal/timer-queue.js";
import type { OperationRecord, OperationStore } from "../store/operation-store.js";
import type { Signals, Unsubscribe } from "../store/signals.js";
import type { OperationsObserver } from "./observer.js";

/** Where the answer to one wait goes: one of the two is called, once, and neither throws. */
export interface WaitAnswer {
  /**
   * The record as soon as it is done; the latest state after the timeout or when the server
   * drains; undefined as soon as it is not found.
   */
  settle(record: OperationRecord | undefined): void;
  /** What the store or the signals reject with; `Code.Canceled` as soon as the call is over. */
  fail(error: unknown): void;
}

/** Those who wait for operations to be done. */
export interface OperationWaiters {
  /** Have `answer` told as soon as there is an end to the wait; `timeoutMs` is in milliseconds. */
  wait(name: string, timeoutMs: number, end: CallEnd, answer: WaitAnswer): void;
  /** Have all waits, also later ones, end with the latest state. */
  drain(): void;
}

/** What waiters stand on. */
export interface OperationWaitersParts {
  readonly store: OperationStore;
  readonly signals: Signals;
  readonly clock: Clock;
  readonly observer: OperationsObserver | undefined;
}

export function createOperationWaiters(waitersParts: OperationWaitersParts): OperationWaiters {
  const { clock, observer } = waitersParts;
  const topics = new Map<string, Topic>();
  let count = 0;
  const countBy = (difference: number) => {
    count += difference;
    tell(observer, (to) => to.waitersChanged?.(count));
  };
  const parts = { ...waitersParts, timers: createTimerQueue(clock), topics, countBy };
  let draining = false;
  return {
    wait(name, timeoutMs, end, answer) {
      if (end.aborted) {
        answer.fail(canceledBy(end));
        return;
      }
      const known = topics.get(name);
      const topic = known ?? new Topic(name, parts);
      topic.join(new Waiter(topic, end, answer), draining ? 0 : timeoutMs);
      if (known === undefined) topic.open();
    },
    drain() {
      draining = true;
      for (const topic of topics.values()) topic.answerAll();
    },
  };
}

/**
 * One who waits: a timer in the queue that all share, and the listener of the call's end.
 * There are as many as there are calls, so that it is an object of these fields and holds no
 * closures.
 */
class Waiter implements QueuedTimer, CallEndListener {
  dueMs = 0;
  place = -1;
  isWaiting = true;
  /** Its neighbours in the topic's list. */
  next: Waiter | undefined;
  previous: Waiter | undefined;
  /** The first of the topic's reads that began after it joined. */
  firstRead = 0;

  constructor(
    private readonly topic: Topic,
    readonly end: CallEnd,
    readonly wait: WaitAnswer,
  ) {}

  onDue(): void {
    this.topic.answer(this);
  }

  /** The call is over, or its client is gone. */
  handleEvent(): void {
    this.topic.leave(this);
    this.wait.fail(canceledBy(this.end));
  }
}

/** What topics stand on, and where they are found by the operation's name. */
interface TopicParts extends OperationWaitersParts {
  readonly timers: TimerQueue;
  readonly topics: Map<string, Topic>;
  /** So many more wait; fewer, where it is negative. */
  readonly countBy: (difference: number) => void;
}

/**
 * All who wait for one operation. They share one subscription, and one read of the store
 * whenever there is something to look at: after they joined, after a signal, after the time
 * at which signals may have been lost, and when the time of some is up.
 */
class Topic implements QueuedTimer {
  dueMs = 0;
  place = -1;
  private first: Waiter | undefined;
  /** Those who are answered with what the next read says, whatever it is. */
  private toAnswer: Waiter[] = [];
  /** Something may have changed since the last read began. */
  private isStale = true;
  private isReading = false;
  private isClosed = false;
  /** How many reads have begun. */
  private reads = 0;
  private unsubscribe: Unsubscribe | undefined;

  constructor(
    private readonly name: string,
    private readonly parts: TopicParts,
  ) {}

  /** Find it by its name, and subscribe. It has a waiter by now, to fail if need be. */
  open(): void {
    this.parts.topics.set(this.name, this);
    void this.subscribe();
  }

  join(waiter: Waiter, timeoutMs: number): void {
    waiter.firstRead = this.reads + 1;
    waiter.next = this.first;
    if (this.first !== undefined) this.first.previous = waiter;
    this.first = waiter;
    waiter.end.addEventListener("abort", waiter);
    this.parts.countBy(1);
    if (timeoutMs > 0) this.parts.timers.add(waiter, timeoutMs);
    else this.toAnswer.push(waiter);
    this.look();
  }

  /** Have the waiter forgotten; and the topic, where it was the last. False if it was already. */
  leave(waiter: Waiter): boolean {
    if (!waiter.isWaiting) return false;
    waiter.isWaiting = false;
    const { next, previous } = waiter;
    if (next !== undefined) next.previous = previous;
    if (previous !== undefined) previous.next = next;
    else this.first = next;
    waiter.end.removeEventListener("abort", waiter);
    this.parts.timers.remove(waiter);
    this.parts.countBy(-1);
    if (this.first === undefined) this.close();
    return true;
  }

  /** Its time is up. */
  answer(waiter: Waiter): void {
    this.toAnswer.push(waiter);
    void this.read();
  }

  answerAll(): void {
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) {
      this.parts.timers.remove(waiter);
      this.answer(waiter);
    }
  }

  /** A signal may have been lost by now. */
  onDue(): void {
    this.look();
  }

  private look(): void {
    this.isStale = true;
    void this.read();
  }

  private async subscribe(): Promise<void> {
    try {
      // Subscribe, then read: a change in between is in the read or in the signal.
      const unsubscribe = await this.parts.signals.subscribe(this.name, () => this.look());
      if (this.isClosed) unsubscribe();
      else this.unsubscribe = unsubscribe;
    } catch (error) {
      this.forEach(Number.POSITIVE_INFINITY, (waiter) => this.fail(waiter, error));
    }
    // What was read before, for those whose time was up, told nothing of what came after it.
    this.look();
  }

  private close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.parts.timers.remove(this);
    this.parts.topics.delete(this.name);
    this.unsubscribe?.();
  }

  /** Read for as long as there is a reason to: one read at a time, however many want one. */
  private async read(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    while (!this.isClosed && this.hasReason()) {
      // All who are due at one time, or woken by one signal, get in before the read begins.
      await undefined;
      await this.readOnce();
    }
    this.isReading = false;
  }

  /** Whose time is up is answered although the subscription has not come about yet. */
  private hasReason(): boolean {
    return this.toAnswer.length > 0 || (this.isStale && this.unsubscribe !== undefined);
  }

  private async readOnce(): Promise<void> {
    const { store, signals, timers } = this.parts;
    const { toAnswer, isStale } = this;
    this.toAnswer = [];
    this.isStale = false;
    this.reads += 1;
    const read = this.reads;
    try {
      const record = await store.get(this.name);
      const isEnd = record === undefined || record.state === "done";
      // Who joined meanwhile has a read to come: a name may be one that was not there before.
      if (isEnd) this.forEach(read, (waiter) => this.settle(waiter, record, read));
      for (const waiter of toAnswer) this.settle(waiter, record, read);
    } catch (error) {
      // Who joined meanwhile has a read to come, and so have those whose state nobody asked for.
      if (isStale) this.forEach(read, (waiter) => this.fail(waiter, error));
      for (const waiter of toAnswer) this.fail(waiter, error);
    }
    if (this.isClosed || signals.pollIntervalMs === undefined) return;
    timers.remove(this);
    timers.add(this, signals.pollIntervalMs);
  }

  /** For those whom this read tells something. `action` may have the waiter leave. */
  private forEach(read: number, action: (waiter: Waiter) => void): void {
    for (let waiter = this.first; waiter !== undefined; ) {
      const { next } = waiter;
      if (waiter.firstRead <= read) action(waiter);
      waiter = next;
    }
  }

  private settle(waiter: Waiter, record: OperationRecord | undefined, read: number): void {
    if (!this.leave(waiter)) return;
    waiter.wait.settle(record);
    // Whom the first read answers came after the end, and was not woken by it.
    if (waiter.firstRead < read) this.observeWake(record);
  }

  private observeWake(record: OperationRecord | undefined): void {
    const { clock, observer } = this.parts;
    if (observer?.woken === undefined || record?.endTimeMicros === undefined) return;
    const { name, method, endTimeMicros } = record;
    const wakeMs = Math.max(0, clock.nowMs() - endTimeMicros / 1000);
    tell(observer, (to) => to.woken?.({ name, method, wakeMs }));
  }

  private fail(waiter: Waiter, error: unknown): void {
    if (this.leave(waiter)) waiter.wait.fail(error);
  }
}
