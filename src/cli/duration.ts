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
 * A length of time on the command line, `500ms`, `30s`, `1.5h`, in milliseconds.
 *
 * @throws InvalidArgumentError for another form, and for 0 and more than 24 days, which no timer
 *   holds.
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
