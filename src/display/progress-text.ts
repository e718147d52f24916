import { printable } from "./printable.js";
import type { Progress } from "./progress.js";

/** Characters of a bar. */
const barLength = 24;

/** Writes the known parts of `42%  3 of 8  copying`; empty if none is known. */
export function percentText({ fraction, counted, status }: Progress): string {
  const parts = [
    fraction === undefined ? "" : `${Math.floor(fraction * 100)}%`,
    counted ?? "",
    status === undefined ? "" : printable(status),
  ];
  return parts.filter((part) => part !== "").join("  ");
}

/** Draws a bar of the finished work. */
export function barText(fraction: number): string {
  const full = Math.floor(fraction * barLength);
  return "█".repeat(full) + "░".repeat(barLength - full);
}

/** The frames of a spinner, one after the other. */
export const spinnerFrames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
