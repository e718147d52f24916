/**
 * The owner of each attempt, the history of lost attempts, the trace context of the start, and a row
 * for each replica. `schema` is quoted already.
 *
 * - The columns have no default, so that no row is written, and no index, so that a claim stays a
 *   heap-only update.
 * - The trigger writes the history, because a program of before this step can lose and take over
 *   attempts, too. Such a program leaves `claim_time` as it is when it claims, by which the trigger
 *   recognises it: the owner is unknown then.
 * - `loss_cause` is the cause that the owner itself or an operator gave before the next claim. Without
 *   it the cause is derived from the row of the owner: a process writes its row whenever it renews
 *   leases, each third of a lease.
 * - `lost_attempts` keeps the last 20 losses.
 */
export function owners(schema: string): string {
  return `
alter table ${schema}.operations
  add column traceparent text collate "C",
  add column tracestate text collate "C",
  add column owner text collate "C",
  add column claim_time timestamptz,
  add column loss_cause text collate "C",
  add column lost_attempts jsonb;

create table ${schema}.workers (
  id text collate "C" primary key,
  host text collate "C" not null,
  process_id integer not null,
  lease_ms integer not null,
  start_time timestamptz not null,
  renew_time timestamptz not null,
  stop_time timestamptz
);

create function ${schema}.loss_cause_of(worker_id text, loss_time timestamptz) returns text
  language sql stable as $$
  select coalesce((
    select case
      when w.stop_time is not null then 'shutdown'
      when w.renew_time < loss_time - w.lease_ms * interval '0.5 milliseconds' then 'no-sign-of-life'
      else 'lease-expired'
    end
    from ${schema}.workers w where w.id = worker_id
  ), 'unknown')
$$;

create or replace function ${schema}.guard_operation() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    if old.end_time is null and not (old.external and old.delete_time is not null) then
      raise exception 'operation % is not done', old.name using errcode = 'LR001';
    end if;
    return old;
  end if;
  if new.name <> old.name or new.create_time <> old.create_time then
    raise exception 'operation % keeps its name and its create time', old.name
      using errcode = 'LR002';
  end if;
  if new.attempt < old.attempt or new.attempt > old.attempt + 1 then
    raise exception 'the attempt of operation % cannot go from % to %',
      old.name, old.attempt, new.attempt using errcode = 'LR003';
  end if;
  if new.state = 'gone' then
    if old.end_time is null and not (old.external and old.delete_time is not null) then
      raise exception 'operation % is not done', old.name using errcode = 'LR001';
    end if;
    new.lost_attempts := null;
  elsif old.end_time is not null and (
    new.state <> old.state
    or new.attempt <> old.attempt
    or new.end_time is distinct from old.end_time
    or new.expire_time is distinct from old.expire_time
    or new.result_kind is distinct from old.result_kind
    or new.result is distinct from old.result
    or new.metadata is distinct from old.metadata
  ) then
    raise exception 'operation % is done', old.name using errcode = 'LR004';
  end if;
  if new.attempt > old.attempt then
    if new.claim_time is not distinct from old.claim_time then
      new.claim_time := new.update_time;
      new.owner := null;
    end if;
    new.loss_cause := null;
    if old.state = 'running' then
      new.lost_attempts := coalesce(old.lost_attempts, '[]'::jsonb) || jsonb_build_object(
        'attempt', old.attempt,
        'owner', old.owner,
        'claimTimeMicros', ${schema}.micros(old.claim_time),
        'lossTimeMicros', ${schema}.micros(new.update_time),
        'seenTimeMicros', (
          select ${schema}.micros(w.renew_time) from ${schema}.workers w where w.id = old.owner
        ),
        'cause', coalesce(old.loss_cause, ${schema}.loss_cause_of(old.owner, new.update_time))
      );
      if jsonb_array_length(new.lost_attempts) > 20 then
        new.lost_attempts := new.lost_attempts - 0;
      end if;
    end if;
  end if;
  return new;
end
$$;
`;
}
