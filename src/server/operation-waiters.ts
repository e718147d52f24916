import type { CallEnd, CallEndListener } from "../internal/call-end.js";
import { canceledBy } from "../internal/canceled-by.js";
import type { Clock } from "../internal/clock.js";
import { notifySafely } from "../internal/notify-safely.js";
import { createTimerQueue, type QueuedTimer, type TimerQueue } from "../internal/timer-queue.js";
import type { OperationRecord, OperationStore } from "../store/operation-store.js";
import type { Signals, Unsubscribe } from "../store/signals.js";
import type { OperationsObserver } from "./observer.js";

/** Receives the outcome of one wait. One of the two methods is called, once, and neither throws. */
export interface WaitResponder {
  /**
   * Called with the record as soon as it is done; with the latest state after the timeout and when
   * the server hands over; with undefined as soon as the operation is not found.
   */
  settle(record: OperationRecord | undefined): void;
  /** Called with the error of the store or the signals; with `Code.Canceled` if the call is over. */
  fail(error: unknown): void;
}

/** The calls that wait until operations are done. */
export interface OperationWaiters {
  /** Calls `responder` as soon as the wait is over. `timeoutMs` is in milliseconds. */
  wait(name: string, timeoutMs: number, end: CallEnd, responder: WaitResponder): void;
  /** Returns the names of the operations that calls wait for. */
  names(): string[];
  /** Resolves as soon as no call waits. */
  idle(): Promise<void>;
  /** Ends all waits with the latest state, and later waits without a pause. */
  drain(): void;
  /** Ends all waits with an error. */
  fail(error: unknown): void;
}

/** Dependencies of the waiters. */
export interface OperationWaitersDeps {
  readonly store: OperationStore;
  readonly signals: Signals;
  readonly clock: Clock;
  readonly observer: OperationsObserver | undefined;
}

export function createOperationWaiters(waitersDeps: OperationWaitersDeps): OperationWaiters {
  const { clock, observer } = waitersDeps;
  const topics = new Map<string, Topic>();
  let count = 0;
  let onIdle: (() => void)[] = [];
  const countBy = (difference: number) => {
    count += difference;
    notifySafely(observer, (to) => to.waitersChanged?.(count));
    if (count > 0 || onIdle.length === 0) return;
    for (const resolve of onIdle) resolve();
    onIdle = [];
  };
  const deps = { ...waitersDeps, timers: createTimerQueue(clock), topics, countBy };
  let isDraining = false;
  return {
    wait(name, timeoutMs, end, responder) {
      if (end.aborted) {
        responder.fail(canceledBy(end));
        return;
      }
      const known = topics.get(name);
      const topic = known ?? new Topic(name, deps);
      topic.join(new Waiter(topic, end, responder), isDraining ? 0 : timeoutMs);
      if (known === undefined) topic.open();
    },
    names: () => [...topics.keys()],
    idle: () =>
      new Promise((resolve) => {
        if (count === 0) resolve();
        else onIdle.push(resolve);
      }),
    drain() {
      isDraining = true;
      for (const topic of topics.values()) topic.answerAll();
    },
    fail(error) {
      for (const topic of [...topics.values()]) topic.failAll(error);
    },
  };
}

/**
 * One call that waits: an entry of the shared timer queue, and the listener of the call's end. There
 * is one for each call, so it consists of fields and holds no closures.
 */
class Waiter implements QueuedTimer, CallEndListener {
  dueMs = 0;
  place = -1;
  isWaiting = true;
  /** The neighbours in the topic's list. */
  next: Waiter | undefined;
  previous: Waiter | undefined;
  /** The number of the topic's first read that began after this waiter joined. */
  firstRead = 0;

  constructor(
    private readonly topic: Topic,
    readonly end: CallEnd,
    readonly responder: WaitResponder,
  ) {}

  onDue(): void {
    this.topic.answer(this);
  }

  /** Called when the call is over or its client has disconnected. */
  handleEvent(): void {
    this.topic.leave(this);
    this.responder.fail(canceledBy(this.end));
  }
}

/** Dependencies of topics. */
interface TopicDeps extends OperationWaitersDeps {
  readonly timers: TimerQueue;
  readonly topics: Map<string, Topic>;
  /** Changes the number of waiting calls. */
  readonly countBy: (difference: number) => void;
}

/**
 * The calls that wait for one operation. They share one subscription. They also share each read of
 * the store: after a call has joined, after a signal, after `pollIntervalMs` because signals may be
 * lost, and when a call's timeout is over.
 */
class Topic implements QueuedTimer {
  dueMs = 0;
  place = -1;
  private first: Waiter | undefined;
  /** The waiters that get the result of the next read, even if the operation is not done. */
  private toAnswer: Waiter[] = [];
  /** Whether the operation may have changed since the last read began. */
  private isStale = true;
  private isReading = false;
  private isClosed = false;
  /** How many reads have begun. */
  private reads = 0;
  private unsubscribe: Unsubscribe | undefined;

  constructor(
    private readonly name: string,
    private readonly deps: TopicDeps,
  ) {}

  /** Registers the topic and subscribes. It has a waiter by now, which an error can fail. */
  open(): void {
    this.deps.topics.set(this.name, this);
    void this.subscribe();
  }

  join(waiter: Waiter, timeoutMs: number): void {
    waiter.firstRead = this.reads + 1;
    waiter.next = this.first;
    if (this.first !== undefined) this.first.previous = waiter;
    this.first = waiter;
    waiter.end.addEventListener("abort", waiter);
    this.deps.countBy(1);
    if (timeoutMs > 0) this.deps.timers.add(waiter, timeoutMs);
    else this.toAnswer.push(waiter);
    this.refresh();
  }

  /** Removes a waiter, and the topic with its last one. Returns false if it was removed already. */
  leave(waiter: Waiter): boolean {
    if (!waiter.isWaiting) return false;
    waiter.isWaiting = false;
    const { next, previous } = waiter;
    if (next !== undefined) next.previous = previous;
    if (previous !== undefined) previous.next = next;
    else this.first = next;
    waiter.end.removeEventListener("abort", waiter);
    this.deps.timers.remove(waiter);
    this.deps.countBy(-1);
    if (this.first === undefined) this.close();
    return true;
  }

  /** Settles a waiter with the next read. */
  answer(waiter: Waiter): void {
    this.toAnswer.push(waiter);
    void this.read();
  }

  answerAll(): void {
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) {
      this.deps.timers.remove(waiter);
      this.answer(waiter);
    }
  }

  failAll(error: unknown): void {
    this.forEach(Number.POSITIVE_INFINITY, (waiter) => this.fail(waiter, error));
  }

  /** Called when `pollIntervalMs` is over: a signal may be lost. */
  onDue(): void {
    this.refresh();
  }

  private refresh(): void {
    this.isStale = true;
    void this.read();
  }

  private async subscribe(): Promise<void> {
    try {
      // The subscription comes before the read, so that a change between them is in the read or in
      // the signal.
      const unsubscribe = await this.deps.signals.subscribe(this.name, () => this.refresh());
      if (this.isClosed) unsubscribe();
      else this.unsubscribe = unsubscribe;
    } catch (error) {
      this.failAll(error);
    }
    // A read that began before the subscription may have missed a later change.
    this.refresh();
  }

  private close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.deps.timers.remove(this);
    this.deps.topics.delete(this.name);
    this.unsubscribe?.();
  }

  /** Reads while there is a reason to, one read at a time for all waiters. */
  private async read(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    while (!this.isClosed && this.hasReason()) {
      // This pause lets waiters share the read if their timeouts end together or one signal wakes
      // them.
      await undefined;
      await this.readOnce();
    }
    this.isReading = false;
  }

  /** A waiter whose timeout is over is answered even before the subscription exists. */
  private hasReason(): boolean {
    return this.toAnswer.length > 0 || (this.isStale && this.unsubscribe !== undefined);
  }

  private async readOnce(): Promise<void> {
    const { store, signals, timers } = this.deps;
    const { toAnswer, isStale } = this;
    this.toAnswer = [];
    this.isStale = false;
    this.reads += 1;
    const read = this.reads;
    try {
      const record = await store.get(this.name);
      const isEnd = record === undefined || record.state === "done";
      // If a waiter joined during the read, a later read answers it, because the name may be new.
      if (isEnd) this.forEach(read, (waiter) => this.settle(waiter, record, read));
      for (const waiter of toAnswer) this.settle(waiter, record, read);
    } catch (error) {
      // If a waiter joined during the read, a later read answers it.
      if (isStale) this.forEach(read, (waiter) => this.fail(waiter, error));
      for (const waiter of toAnswer) this.fail(waiter, error);
    }
    if (this.isClosed || signals.pollIntervalMs === undefined) return;
    timers.remove(this);
    timers.add(this, signals.pollIntervalMs);
  }

  /** Calls `action` for each waiter that joined before this read. `action` may remove the waiter. */
  private forEach(read: number, action: (waiter: Waiter) => void): void {
    for (let waiter = this.first; waiter !== undefined; ) {
      const { next } = waiter;
      if (waiter.firstRead <= read) action(waiter);
      waiter = next;
    }
  }

  private settle(waiter: Waiter, record: OperationRecord | undefined, read: number): void {
    if (!this.leave(waiter)) return;
    waiter.responder.settle(record);
    // If a waiter's first read settles it, the waiter came after the end, and the end did not wake
    // it.
    if (waiter.firstRead < read) this.observeWake(record);
  }

  private observeWake(record: OperationRecord | undefined): void {
    const { clock, observer } = this.deps;
    if (observer?.woken === undefined || record?.endTimeMicros === undefined) return;
    const { name, method, endTimeMicros } = record;
    const wakeMs = Math.max(0, clock.nowMs() - endTimeMicros / 1000);
    notifySafely(observer, (to) => to.woken?.({ name, method, wakeMs }));
  }

  private fail(waiter: Waiter, error: unknown): void {
    if (this.leave(waiter)) waiter.responder.fail(error);
  }
}
