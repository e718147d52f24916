import { printable } from "./printable.js";
import type { Progress } from "./progress-of.js";

/** Characters of a bar. */
const barLength = 24;

/** ` 42%  3 of 8  copying`, of it what is known; empty where nothing is. */
export function percentText({ fraction, counted, status }: Progress): string {
  const parts = [
    fraction === undefined ? "" : `${Math.floor(fraction * 100)}%`,
    counted ?? "",
    status === undefined ? "" : printable(status),
  ];
  return parts.filter((part) => part !== "").join("  ");
}

/** A bar of the work that is done. */
export function barText(fraction: number): string {
  const full = Math.floor(fraction * barLength);
  return "█".repeat(full) + "░".repeat(barLength - full);
}

/** The frames of a spinner, one after the other. */
export const spinnerFrames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
