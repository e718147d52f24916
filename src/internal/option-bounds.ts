/** The longest time that a JavaScript timer can hold, in milliseconds: some 24 days. */
export const longestMs = 2 ** 31 - 1;

/**
 * The value of an option that lies within its bounds.
 *
 * @throws RangeError that names the option, its bounds and the value, which may be NaN.
 */
export function inRange(
  option: string,
  value: number,
  least: number,
  most = Number.POSITIVE_INFINITY,
): number {
  if (value >= least && value <= most) return value;
  const bounds =
    most === Number.POSITIVE_INFINITY ? `at least ${least}` : `from ${least} to ${most}`;
  throw new RangeError(`${option} must be ${bounds}, not ${value}`);
}

/** @throws RangeError for anything but a whole number of at least 1, naming the option. */
export function atLeastOne(option: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new RangeError(`${option} must be a whole number of at least 1, not ${value}`);
}
