import type { Claim } from "../operation-store.js";
import { escapeNul } from "../sql/nul-escape.js";
import { nextUpdateTime, type Parameters } from "./statement.js";

const isLost = "o.state = 'running'";

/** Whether row `o` is one that can be claimed. */
export const isClaimable = "(not o.external and o.state in ('queued', 'running'))";

/**
 * The assignments that claim row `o`. `restartLost` is the condition on which the checkpoint
 * of an attempt that was lost is dropped; undefined: never.
 */
export function claimWrite(restartLost: string | undefined): string {
  const assignments = [
    `state = 'running', attempt = o.attempt + 1, update_time = ${nextUpdateTime}`,
    `losses = o.losses + case when ${isLost} then 1 else 0 end`,
  ];
  if (restartLost !== undefined) {
    const isDropped = `${restartLost} and ${isLost}`;
    assignments.push(`checkpoint = case when ${isDropped} then null else o.checkpoint end`);
  }
  return assignments.join(", ");
}

/** The record that a worker's claim may write to. */
export function claimed({ name, attempt }: Claim, { add }: Parameters): string {
  return `o.name = ${add(escapeNul(name))} and o.attempt = ${add(attempt)}::integer
    and ${isLost}`;
}
