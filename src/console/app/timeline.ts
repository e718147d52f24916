import type { OperationSummary } from "../../display/operation-summary.js";
import { percentText } from "../../display/progress-text.js";

/** A change that the page saw. */
export interface TimelineEntry {
  readonly atMs: number;
  readonly text: string;
}

/** Most entries that are kept; the oldest leave first. */
const maxEntries = 200;

/** Adds the difference between two states of an operation. Returns the same list if they do not differ. */
export function withChange(
  entries: readonly TimelineEntry[],
  before: OperationSummary | undefined,
  now: OperationSummary,
  atMs: number,
): readonly TimelineEntry[] {
  const text = changeText(before, now);
  return text === "" ? entries : [...entries, { atMs, text }].slice(-maxEntries);
}

function changeText(before: OperationSummary | undefined, now: OperationSummary): string {
  const progress = percentText(now.progress).replaceAll("  ", " · ");
  if (before === undefined) {
    const rest = now.status === "running" && progress !== "" ? `, ${progress}` : "";
    return `opened: ${now.status}${rest}`;
  }
  if (before.status !== now.status) {
    return now.error === "" ? now.status : `${now.status}: ${now.error}`;
  }
  return percentText(before.progress).replaceAll("  ", " · ") === progress ? "" : progress;
}
