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

/** A time that has passed, in the largest unit that fits: `45s`, `3m`, `5h`, `12d`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}

/** A time on the clock face of a wait: `0:07`, `12:34`, `1:02:03`. */
export function formatElapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const padded = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${padded(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${padded(minutes % 60)}:${padded(seconds % 60)}`;
}
