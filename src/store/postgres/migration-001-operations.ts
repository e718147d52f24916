/**
 * The table of operations, a row each. `schema` is quoted already.
 *
 * - Text that a page is ordered by is `collate "C"`: the order of its bytes, whatever
 *   the database's locale.
 * - `gone` is a tombstone: the row of a record that was removed before the window of its request
 *   id was over. It has no payloads, and only a start with that id finds it.
 * - Indexes go by `end_time` and `delete_time` and not by `state`, so that a claim or
 *   a report touches no index (a heap-only update).
 * - Text without a bound in length is indexed by a hash: `request_key` is the SHA-256 of scope
 *   and id.
 * - The trigger guards against faulty statements: a done record does not change, an attempt only
 *   grows, and no record is removed before it is done.
 */
export function operationsTable(schema: string): string {
  return `
create table ${schema}.operations (
  name text collate "C" primary key,
  parent text collate "C" not null,
  method text collate "C" not null,
  principal text collate "C" not null,
  external boolean not null,
  state text collate "C" not null
    check (state in ('blocked', 'queued', 'running', 'done', 'gone')),
  attempt integer not null default 0,
  handovers integer not null default 0,
  losses integer not null default 0,
  request bytea not null,
  metadata bytea,
  checkpoint bytea,
  result_kind text collate "C" check (result_kind in ('response', 'error')),
  result bytea,
  retention_ms double precision not null,
  deadline_ms double precision,
  resource_key text collate "C",
  request_scope text collate "C",
  request_id text collate "C",
  request_key bytea,
  request_fingerprint bytea,
  request_window_ms double precision,
  request_window_end_time timestamptz,
  create_time timestamptz not null,
  update_time timestamptz not null,
  deadline_time timestamptz,
  cancel_request_time timestamptz,
  end_time timestamptz,
  expire_time timestamptz,
  delete_time timestamptz,
  purge_time timestamptz generated always as (
    case
      when state = 'gone' then request_window_end_time
      when delete_time is not null and (state = 'done' or external)
        then least(delete_time, expire_time)
      else expire_time
    end
  ) stored,
  check ((state = 'done') = (result is not null)),
  check ((result is null) = (result_kind is null)),
  check ((state in ('done', 'gone')) = (end_time is not null)),
  check ((end_time is null) = (expire_time is null)),
  check (state <> 'gone' or delete_time is not null)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

create index operations_by_parent on ${schema}.operations (parent, create_time, name)
  where delete_time is null;
create index operations_open_by_parent on ${schema}.operations (parent, create_time, name)
  where delete_time is null and end_time is null;
create index operations_by_time on ${schema}.operations (create_time, name);
create unique index operations_by_request_key on ${schema}.operations (request_key)
  where request_key is not null;
create index operations_by_resource on ${schema}.operations (md5(resource_key), create_time, name)
  where resource_key is not null and end_time is null;
create index operations_by_deadline on ${schema}.operations (deadline_time)
  where deadline_time is not null and end_time is null;
create index operations_by_purge on ${schema}.operations (purge_time)
  where purge_time is not null;
create index operations_by_losses on ${schema}.operations (method, losses)
  where losses > 0;

create function ${schema}.micros(moment timestamptz) returns bigint
  language sql immutable strict parallel safe
  return (extract(epoch from moment) * 1000000)::bigint;

create function ${schema}.time_of(micros double precision) returns timestamptz
  language sql immutable strict parallel safe
  return timestamptz 'epoch' + micros * interval '1 microsecond';

create function ${schema}.guard_operation() returns trigger language plpgsql as $$
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
  return new;
end
$$;

create trigger guard_operation before update or delete on ${schema}.operations
  for each row execute function ${schema}.guard_operation();
`;
}
