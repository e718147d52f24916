import { type Clock, monotonicMs } from "../../internal/clock.js";
import type { LossCause } from "../operator.js";
import { escapeNul } from "../sql/nul-escape.js";
import type { WorkerIdentity } from "../worker-identity.js";
import type { Database } from "./database.js";

/** The row of this process among those that run operations. */
export interface WorkerRow {
  /** Writes a sign of life, and the causes of losses that are not written yet. */
  renew(): Promise<void>;
  /** Renews the row if the last sign of life is older than 30 s or if there are causes to write. */
  renewIfDue(): Promise<void>;
  /** Notes why this process lost operations; the next renewal writes it. */
  noteLosses(names: readonly string[], cause: LossCause, detail: string): void;
  /** Writes that this process has shut down. Nothing is written afterwards. */
  stop(): Promise<void>;
}

/** Dependencies of a worker row. `schema` is unquoted. */
export interface WorkerRowParts {
  readonly database: Database;
  readonly schema: string;
  readonly identity: WorkerIdentity;
  readonly leaseMs: number;
  readonly clock: Clock;
}

interface Note {
  readonly names: readonly string[];
  readonly cause: string;
  readonly atMs: number;
}

/** How often an idle process gives a sign of life, in milliseconds. */
export const idleRenewalMs = 30_000;

/** How many notes wait for the database. */
const maxNotes = 100;

/** Creates the row with its first renewal. Rows of processes that ended a day ago are removed. */
export function createWorkerRow(parts: WorkerRowParts): WorkerRow {
  const { database, schema, identity, leaseMs, clock } = parts;
  const workers = `"${schema}".workers`;
  const notes: Note[] = [];
  let renewedAtMs = Number.NEGATIVE_INFINITY;
  let isStopped = false;
  const nowMs = () => monotonicMs(clock);

  /** The operation may run here again: a note is for attempts that were claimed before it. */
  const writeNote = ({ names, cause, atMs }: Note) =>
    database.rows(
      `update "${schema}".operations o set
        loss_cause = case when o.state = 'running' and o.owner = $1 and o.claim_time < n.time
          then $3 else o.loss_cause end,
        lost_attempts = (
          select jsonb_agg(case
            when entry ->> 'owner' = $1 and entry ->> 'cause' in ('no-sign-of-life', 'lease-expired')
            then entry || jsonb_build_object('cause', $3::text) else entry end order by at)
          from jsonb_array_elements(o.lost_attempts) with ordinality as entries (entry, at))
      from (select clock_timestamp() - $4::float8 * interval '1 millisecond' as time) n
      where o.name = any($2::text[]) and (o.state = 'running' and o.owner = $1
        or o.lost_attempts @> jsonb_build_array(jsonb_build_object('owner', $1::text)))`,
      [identity.id, names.map(escapeNul), cause, Math.max(0, nowMs() - atMs)],
      undefined,
    );

  const renew = async () => {
    if (isStopped) return;
    await database.rows(
      `with old as (
        delete from ${workers} where renew_time < clock_timestamp() - interval '1 day'
      )
      insert into ${workers} as w (id, host, process_id, lease_ms, start_time, renew_time)
      values ($1, $2, $3::integer, $4::integer, clock_timestamp(), clock_timestamp())
      on conflict (id) do update set renew_time = clock_timestamp()`,
      [identity.id, identity.host, identity.processId, leaseMs],
      undefined,
    );
    renewedAtMs = nowMs();
    for (let note = notes[0]; note !== undefined; note = notes[0]) {
      await writeNote(note);
      // Another renewal may have written the note at the same time.
      if (notes[0] === note) notes.shift();
    }
  };

  return {
    renew,
    async renewIfDue() {
      if (nowMs() - renewedAtMs >= idleRenewalMs || notes.length > 0) await renew();
    },
    noteLosses(names, cause, detail) {
      notes.push({
        names,
        cause: detail === "" ? cause : `${cause} ${detail}`,
        atMs: nowMs(),
      });
      if (notes.length > maxNotes) notes.shift();
    },
    async stop() {
      if (isStopped) return;
      isStopped = true;
      await database.rows(
        `update ${workers} set stop_time = clock_timestamp(), renew_time = clock_timestamp()
        where id = $1`,
        [identity.id],
        undefined,
      );
    },
  };
}
