import { type Clock, systemClock } from "../../internal/clock.js";
import { nextImmediate } from "../../internal/next-immediate.js";
import { createTimerQueue, type QueuedTimer } from "../../internal/timer-queue.js";
import { databaseUnavailable } from "./postgres-errors.js";

/** How a batcher sends items to the database, many with one call. */
export interface BatcherOptions<Item, Answer> {
  /** Resolves with an answer for each item, in their order; a rejection is one of all items. */
  run: (items: readonly Item[]) => Promise<readonly Answer[]>;
  /** Measures time. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** Batches the items of many callers. */
export interface Batcher<Item, Answer> {
  /**
   * Resolves or rejects as the call with this item did.
   *
   * @throws ConnectError UNAVAILABLE if no call took the item within 5 seconds, or if 10,000 items
   *   wait. The item was not sent.
   */
  add(item: Item): Promise<Answer>;
}

/** How many items a call has at most, and how many calls are under way. */
const maxItems = 100;
const maxUnderWay = 4;

/** How long items wait for a call that is under way, in milliseconds, because it may hang. */
const maxQueueDelayMs = 50;

/** How many items wait at most, and for how long, in milliseconds: as for a connection of the pool. */
const maxWaiting = 10_000;
const maxWaitMs = 5000;

interface Waiting<Item, Answer> extends QueuedTimer {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (cause: unknown) => void;
}

/**
 * Items that arrive while a call is under way are batched into the next call, so that a slow
 * database gets fewer calls. A first item is sent in the next event-loop iteration.
 */
export function createBatcher<Item, Answer>({
  run,
  clock = systemClock,
}: BatcherOptions<Item, Answer>): Batcher<Item, Answer> {
  const waiting: Waiting<Item, Answer>[] = [];
  const timers = createTimerQueue(clock);
  let underWay = 0;
  let isDue = false;
  let unschedule: (() => void) | undefined;

  const runBatch = async (batch: readonly Waiting<Item, Answer>[]) => {
    try {
      const answers = await run(batch.map(({ item }) => item));
      if (answers.length !== batch.length) throw new TypeError("an item got no answer");
      for (const [at, answer] of answers.entries()) batch[at]?.resolve(answer);
    } catch (cause) {
      for (const { reject } of batch) reject(cause);
    }
  };

  const begin = () => {
    unschedule?.();
    unschedule = undefined;
    underWay += 1;
    const batch = waiting.splice(0, maxItems);
    for (const taken of batch) timers.remove(taken);
    void runBatch(batch).then(() => {
      underWay -= 1;
      look();
    });
    look();
  };

  const look = () => {
    if (waiting.length === 0 || underWay >= maxUnderWay) return;
    if (waiting.length >= maxItems) begin();
    else if (underWay === 0) beginAtTurnEnd();
    else unschedule ??= clock.schedule(maxQueueDelayMs, begin);
  };

  const beginAtTurnEnd = () => {
    if (isDue) return;
    isDue = true;
    void nextImmediate().then(() => {
      isDue = false;
      if (waiting.length > 0 && underWay < maxUnderWay) begin();
    });
  };

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        if (waiting.length >= maxWaiting) {
          reject(databaseUnavailable());
          return;
        }
        const added: Waiting<Item, Answer> = {
          item,
          resolve,
          reject,
          dueMs: 0,
          place: -1,
          onDue() {
            waiting.splice(waiting.indexOf(added), 1);
            reject(databaseUnavailable());
          },
        };
        waiting.push(added);
        timers.add(added, maxWaitMs);
        look();
      }),
  };
}
