import type { Claim } from "../operation-store.js";
import { escapeNul } from "../sql/nul-escape.js";
import { nextUpdateTime, type Parameters } from "./statement.js";

const isLost = "o.state = 'running'";

/**
 * Returns the condition on which row `o` can be claimed.
 *
 * @param lostAttempt The attempt that is lost, if the row has one that runs.
 */
export function claimable(lostAttempt: string): string {
  return `(not o.external
    and (o.state = 'queued' or o.state = 'running' and o.attempt = ${lostAttempt}))`;
}

/**
 * Returns the assignments that claim row `o`. `restartLost` is the condition on which the
 * checkpoint of a lost attempt is dropped, `owner` the process. The trigger of the table notes the
 * loss of the attempt before.
 */
export function claimWrite(restartLost: string, owner: string): string {
  return `state = 'running', attempt = o.attempt + 1, update_time = ${nextUpdateTime},
    owner = ${owner}, claim_time = ${nextUpdateTime},
    losses = o.losses + case when ${isLost} then 1 else 0 end,
    checkpoint = case when ${restartLost} and ${isLost} then null else o.checkpoint end`;
}

/** Returns the condition on which a worker's claim may write to a record. */
export function claimed({ name, attempt }: Claim, { add }: Parameters): string {
  return `o.name = ${add(escapeNul(name))} and o.attempt = ${add(attempt)}::integer
    and ${isLost}`;
}
