/**
 * Cases that are not for several shards: their operations share a resource or a request id although
 * their parents differ, or they expect the order of creation within one tick of the clock.
 */
export const isOfOneShard = (title: string) =>
  [
    /^a walk of what is unfinished|^knows what is unfinished|^server 51: lists across parents/,
    /^counts a hidden|^counts no hidden|^ends what is overdue, in whatever|^fences the attempt/,
    /^finds the duplicate|^a refused insert spends|^has a hidden operation wait|^has unfinished what was unblocked/,
    /^inserts together|^lets one of many|^preempts |^refuses all but one|^server 1[456]:|^server 59: cancels a blocked/,
    /^server 19: |^server 23: |^server 67: remembers|^server 90: /,
  ].some((pattern) => pattern.test(title));
