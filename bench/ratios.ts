/** Where the numbers of several launches lie. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  /**
   * Between which two launches' medians the true median lies, at a confidence of
   * 95 %. Undefined for fewer than six launches, which cannot tell.
   */
  readonly medianWithin: readonly [low: number, high: number] | undefined;
}

/**
 * The middle value; of an even number of values, the mean of the two in the middle.
 *
 * @throws RangeError if `values` is empty.
 */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new RangeError("no values");
  return (lower + upper) / 2;
}

/**
 * The numbers of each launch in an array of their own. Rounds of one launch share
 * its luck, and however many there are, they say little about the next launch: so
 * it is the launches that tell how far off the median may be.
 *
 * Throws what `median` throws.
 */
export function spreadOf(launches: readonly (readonly number[])[]): Spread {
  const all = launches.flat();
  const medians = launches.map(median).sort((one, other) => one - other);
  const outside = countOutside(medians.length);
  const [low, high] = [medians[outside - 1], medians.at(-outside)];
  return {
    min: Math.min(...all),
    median: median(all),
    max: Math.max(...all),
    medianWithin: low === undefined || high === undefined ? undefined : [low, high],
  };
}

/**
 * The k for which the k-th lowest and the k-th highest of n values have the true
 * median between them in at least 95 % of all samples; 0 if no k does. A value
 * lies below the median with probability 1/2, whatever the distribution, so that
 * it is a sum of binomial coefficients.
 */
function countOutside(n: number): number {
  // As a logarithm: 2 to the minus 1,075 is 0 already.
  let logChance = n * Math.log(0.5);
  let sum = Math.exp(logChance);
  let count = 0;
  while (sum <= 0.025) {
    count += 1;
    logChance += Math.log((n - count + 1) / count);
    sum += Math.exp(logChance);
  }
  return count;
}

/**
 * Returns each value's ratio to the baseline's value in the same round. A machine that
 * slows down for a while slows down both, and the ratio stays.
 *
 * @throws RangeError if one of the two has more rounds than the other.
 */
export function pairedRatios(values: readonly number[], baseline: readonly number[]): number[] {
  if (values.length !== baseline.length) {
    throw new RangeError(`${values.length} rounds cannot be paired with ${baseline.length}`);
  }
  return values.map((value, round) => value / (baseline[round] ?? Number.NaN));
}
