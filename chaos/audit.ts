import type pg from "pg";

/** The history of the operations, as a trigger in the database recorded it. */
export interface Audit {
  /** How many operations there are. */
  readonly operations: number;
  /** How many transitions to an end there were. */
  readonly ends: number;
  readonly endedTwice: number;
  readonly open: number;
  /** Ends whose attempt is not the last one that was claimed. */
  readonly staleEnds: number;
  /** Reports that changed something; each says which attempt made it. */
  readonly reports: number;
  /** Reports of an attempt that did not have the operation. */
  readonly staleReports: number;
  /** Operations whose cancellation was asked for, before they were done. */
  readonly cancels: number;
  /** Cancelled operations that are not done, or ended with another error than CANCELLED. */
  readonly cancelsIgnored: number;
  /** How many operations took more than one attempt. */
  readonly recovered: number;
}

/** The final state of one operation. */
export interface AuditedOperation {
  readonly attempt: number;
  readonly isCancelRequested: boolean;
  /** The end; null if the operation is open. */
  readonly endTimeMs: number | null;
}

/**
 * Have a trigger write down each claim, each end, and each report with the attempt that made it:
 * the work reports its own attempt as the last byte of its metadata.
 */
export async function installAudit(pool: pg.Pool): Promise<void> {
  await pool.query(`
    create table public.chaos_audit (
      id bigint generated always as identity primary key,
      name text not null,
      kind text not null,
      attempt integer not null,
      writer integer
    );
    create function public.chaos_audit() returns trigger language plpgsql as $$
    begin
      if new.attempt > old.attempt then
        insert into public.chaos_audit (name, kind, attempt) values (new.name, 'claim', new.attempt);
      end if;
      if old.end_time is null and new.end_time is not null then
        insert into public.chaos_audit (name, kind, attempt) values (new.name, 'end', new.attempt);
      end if;
      if new.metadata is distinct from old.metadata and new.metadata is not null then
        insert into public.chaos_audit (name, kind, attempt, writer) values
          (new.name, 'report', new.attempt, get_byte(new.metadata, length(new.metadata) - 1));
      end if;
      return new;
    end
    $$;
    create trigger chaos_audit after update on longrunning.operations
      for each row execute function public.chaos_audit();
  `);
}

export async function readAudit(pool: pg.Pool): Promise<Audit> {
  const { rows } = await pool.query<Audit>(`
    with ends as (
      select name, count(*) as count, max(attempt) as attempt
      from public.chaos_audit where kind = 'end' group by name
    ), claims as (
      select name, max(attempt) as attempt from public.chaos_audit where kind = 'claim' group by name
    )
    select
      (select count(*) from longrunning.operations)::integer as operations,
      (select coalesce(sum(count), 0) from ends)::integer as ends,
      (select count(*) from ends where count > 1)::integer as "endedTwice",
      (select count(*) from longrunning.operations where end_time is null)::integer as open,
      (select count(*) from ends join claims using (name)
        where ends.attempt <> claims.attempt)::integer as "staleEnds",
      (select count(*) from public.chaos_audit where kind = 'report')::integer as reports,
      (select count(*) from public.chaos_audit
        where kind = 'report' and writer <> attempt)::integer as "staleReports",
      (select count(*) from longrunning.operations
        where cancel_request_time is not null)::integer as cancels,
      (select count(*) from longrunning.operations
        where cancel_request_time is not null and (end_time is null
          -- google.rpc.Status: field 1, the code, is 1 for CANCELLED.
          or (result_kind = 'error' and substr(result, 1, 2) <> '\\x0801')))::integer
        as "cancelsIgnored",
      (select count(*) from claims where attempt > 1)::integer as recovered
  `);
  const [audit] = rows;
  if (audit === undefined) throw new Error("the audit has no row");
  return audit;
}

/** Adds up the audits of several databases. */
export function sumOfAudits(audits: readonly Audit[]): Audit {
  const sum = { ...noOperations };
  for (const audit of audits) {
    for (const key of keysOf(sum)) sum[key] += audit[key];
  }
  return sum;
}

const noOperations: { -readonly [Key in keyof Audit]: Audit[Key] } = {
  operations: 0,
  ends: 0,
  endedTwice: 0,
  open: 0,
  staleEnds: 0,
  reports: 0,
  staleReports: 0,
  cancels: 0,
  cancelsIgnored: 0,
  recovered: 0,
};

const keysOf = (audit: Audit) => Object.keys(audit) as (keyof Audit)[];

/** Reads the final state of each operation, by name. */
export async function readOperations(pool: pg.Pool): Promise<Map<string, AuditedOperation>> {
  const { rows } = await pool.query<{ name: string } & AuditedOperation>(`
    select name, attempt, cancel_request_time is not null as "isCancelRequested",
      (extract(epoch from end_time) * 1000)::double precision as "endTimeMs"
    from longrunning.operations
  `);
  return new Map(rows.map(({ name, ...operation }) => [name, operation]));
}
