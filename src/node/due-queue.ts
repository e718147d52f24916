/** Things that are overdue a fixed time after they were added, unless they are deleted before. */
export interface DueQueue<Item> {
  add(item: Item): void;
  delete(item: Item): void;
}

/**
 * One timer for all: every call has a time limit, nearly none reaches it, and a timer of its own
 * costs each call more than a place in a queue, which is in order as all have the same limit.
 */
export function createDueQueue<Item>(
  timeoutMs: number,
  onOverdue: (item: Item) => void,
): DueQueue<Item> {
  /** When each is due; the first added comes first. */
  const dueMs = new Map<Item, number>();
  let isScheduled = false;
  const look = () => {
    isScheduled = false;
    const nowMs = performance.now();
    for (const [item, atMs] of dueMs) {
      if (atMs > nowMs) {
        schedule(atMs - nowMs);
        return;
      }
      dueMs.delete(item);
      onOverdue(item);
    }
  };
  const schedule = (delayMs: number) => {
    if (isScheduled) return;
    isScheduled = true;
    // Each queued item has a socket, which keeps the process alive. An empty queue must not.
    setTimeout(look, delayMs).unref();
  };
  return {
    add(item) {
      dueMs.delete(item);
      dueMs.set(item, performance.now() + timeoutMs);
      schedule(timeoutMs);
    },
    delete: (item) => dueMs.delete(item),
  };
}
