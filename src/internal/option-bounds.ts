/** The longest time that a JavaScript timer can hold, in milliseconds: some 24 days. */
export const longestMs = 2 ** 31 - 1;

/** The upper bound of an option without a limit. */
export const unlimited = Number.POSITIVE_INFINITY;

/**
 * Returns the value of an option. Throws if it is not within its bounds.
 *
 * @throws RangeError that names the option, its bounds and the value, which may be NaN.
 */
export function inRange(option: string, value: number, least: number, most = unlimited): number {
  if (value >= least && value <= most) return value;
  const bounds = most === unlimited ? `at least ${least}` : `from ${least} to ${most}`;
  throw new RangeError(`${option} must be ${bounds}, not ${value}`);
}

/**
 * Returns the value of an optional option, or its default. Throws if the value is not within its
 * bounds.
 *
 * @throws RangeError as `inRange`.
 */
export function optionInRange<Name extends string>(
  options: { readonly [Option in Name]?: number | undefined },
  option: Name,
  byDefault: number,
  least: number,
  most?: number,
): number {
  return inRange(option, options[option] ?? byDefault, least, most);
}

/** @throws RangeError for anything but a whole number of at least 1, naming the option. */
export function atLeastOne(option: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new RangeError(`${option} must be a whole number of at least 1, not ${value}`);
}
