import { InvalidArgumentError } from "commander";
import { longestMs } from "../internal/option-bounds.js";

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Parses a duration of the command line, such as `500ms`, `30s` or `1.5h`, into milliseconds.
 *
 * @throws InvalidArgumentError for another form, for 0, and for more than 24 days, the longest
 *   time of a timer.
 */
export function parseDuration(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const perUnit = unitMs[unit];
  if (number === undefined || perUnit === undefined) {
    throw new InvalidArgumentError("It must be a number with its unit, as 500ms, 30s, 5m or 2h.");
  }
  const ms = Number(number) * perUnit;
  if (ms <= 0 || ms > longestMs) {
    throw new InvalidArgumentError("It must be more than 0 and at most 24d.");
  }
  return ms;
}
