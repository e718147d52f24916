/** Inflates messages, a few at a time, so that the rest can be dropped when their calls end. */
export interface InflationQueue {
  /**
   * Calls `inflate` when its turn comes, unless `isWanted` is false by then: a call that has
   * failed, or whose client is gone, must not cost the processor any more.
   *
   * @param inflate Never rejects.
   */
  run(isWanted: () => boolean, inflate: () => Promise<void>): void;
}

/** Node inflates in its thread pool of 4 threads, and cannot stop an inflation. */
const most = 4;

export function createInflationQueue(): InflationQueue {
  const waiting: [isWanted: () => boolean, inflate: () => Promise<void>][] = [];
  let running = 0;
  const next = () => {
    while (running < most) {
      const turn = waiting.shift();
      if (turn === undefined) return;
      const [isWanted, inflate] = turn;
      if (!isWanted()) continue;
      running += 1;
      void inflate().then(() => {
        running -= 1;
        next();
      });
    }
  };
  return {
    run(isWanted, inflate) {
      waiting.push([isWanted, inflate]);
      next();
    },
  };
}
