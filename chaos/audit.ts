import type pg from "pg";

/** What the database itself saw of the operations. */
export interface Audit {
  /** How many operations there are. */
  readonly operations: number;
  /** How many transitions to an end there were. */
  readonly ends: number;
  readonly endedTwice: number;
  readonly open: number;
  /** Ends whose attempt is not the last one that was claimed. */
  readonly staleEnds: number;
  /** Operations whose cancellation was asked for and that are not done. */
  readonly cancelsIgnored: number;
  /** How many operations took more than one attempt. */
  readonly recovered: number;
}

/** Have a trigger write down each claim and each end. */
export async function installAudit(pool: pg.Pool): Promise<void> {
  await pool.query(`
    create table public.chaos_audit (
      id bigint generated always as identity primary key,
      name text not null,
      kind text not null,
      attempt integer not null
    );
    create function public.chaos_audit() returns trigger language plpgsql as $$
    begin
      if new.attempt > old.attempt then
        insert into public.chaos_audit (name, kind, attempt) values (new.name, 'claim', new.attempt);
      end if;
      if old.end_time is null and new.end_time is not null then
        insert into public.chaos_audit (name, kind, attempt) values (new.name, 'end', new.attempt);
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
      (select count(*) from longrunning.operations
        where cancel_request_time is not null and end_time is null)::integer as "cancelsIgnored",
      (select count(*) from claims where attempt > 1)::integer as recovered
  `);
  const [audit] = rows;
  if (audit === undefined) throw new Error("the audit has no row");
  return audit;
}
