import { type Clock, systemClock } from "../../internal/clock.js";
import { createTimerQueue, type QueuedTimer } from "../../internal/timer-queue.js";
import { turnEnd } from "../../internal/turn-end.js";
import { databaseUnavailable } from "./postgres-errors.js";

/** How items are brought to the database, many with one call. */
export interface BatcherOptions<Item, Answer> {
  /** Resolves with an answer for each, in their order; rejects for all of them. */
  run: (items: readonly Item[]) => Promise<readonly Answer[]>;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** Gathers what many callers want at the same time. */
export interface Batcher<Item, Answer> {
  /**
   * Resolves and rejects as the call did that had this item.
   *
   * @throws ConnectError `Unavailable` for one that no call took within 5 seconds, and where
   *   10,000 wait already. Nothing was done for it.
   */
  add(item: Item): Promise<Answer>;
}

/** How many items a call has at most, and how many calls are under way. */
const maxItems = 100;
const maxUnderWay = 4;

/** How long items wait for a call that is under way, in milliseconds: one that hangs must not hold them up. */
const patienceMs = 50;

/** How many items wait at most, and for how long, in milliseconds: as for a connection of the pool. */
const maxWaiting = 10_000;
const maxWaitMs = 5000;

interface Waiting<Item, Answer> extends QueuedTimer {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (cause: unknown) => void;
}

/**
 * What comes while a call is under way goes with the next, so that there are as few of them
 * as the database is slow. What comes alone goes at the end of this turn of the event loop.
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
    else unschedule ??= clock.schedule(patienceMs, begin);
  };

  const beginAtTurnEnd = () => {
    if (isDue) return;
    isDue = true;
    void turnEnd().then(() => {
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
