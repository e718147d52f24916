/**
 * The table of operations, a row each.
 *
 * - The create time is the row's id: no two are the same, so that the order of the table
 *   and of every index is that of the lists, newest last. Times are in microseconds.
 * - `gone` is the rest of a record that was removed before the window of its request id was
 *   over. It has no payloads, and only a start with that id finds it.
 * - Long values come last, so that the columns of conditions come before them.
 * - Triggers guard the invariants: a record that is done does not change, and an attempt only
 *   grows.
 */
export const operationsTable = `
create table operations (
  create_time integer primary key,
  name text not null unique,
  parent text not null,
  method text not null,
  principal text not null,
  external integer not null,
  state text not null check (state in ('blocked', 'queued', 'running', 'done', 'gone')),
  attempt integer not null default 0,
  handovers integer not null default 0,
  losses integer not null default 0,
  retention_ms real not null,
  deadline_ms real,
  update_time integer not null,
  deadline_time integer,
  cancel_request_time integer,
  end_time integer,
  expire_time integer,
  delete_time integer,
  request_window_ms real,
  request_window_end_time integer,
  purge_time integer generated always as (
    case
      when state = 'gone' then request_window_end_time
      when delete_time is not null and (state = 'done' or external)
        then min(delete_time, coalesce(expire_time, delete_time))
      else expire_time
    end
  ) virtual,
  resource_key text,
  request_scope text,
  request_id text,
  request_fingerprint blob,
  result_kind text check (result_kind in ('response', 'error')),
  result blob,
  metadata blob,
  checkpoint blob,
  request blob not null,
  check ((state = 'done') = (result is not null)),
  check ((result is null) = (result_kind is null)),
  check ((state in ('done', 'gone')) = (end_time is not null)),
  check ((end_time is null) = (expire_time is null)),
  check (state <> 'gone' or delete_time is not null)
) strict;

create index operations_by_parent on operations (parent) where delete_time is null;
create index operations_open_by_parent on operations (parent)
  where delete_time is null and end_time is null;
create index operations_open on operations (external) where end_time is null;
create unique index operations_by_request on operations (request_scope, request_id)
  where request_id is not null;
create index operations_by_resource on operations (resource_key)
  where resource_key is not null and end_time is null;
create index operations_by_deadline on operations (deadline_time)
  where deadline_time is not null and end_time is null;
create index operations_by_purge on operations (purge_time) where purge_time is not null;
create index operations_by_losses on operations (method, losses) where losses > 0;

create trigger guard_done before update on operations
  when old.end_time is not null and new.state <> 'gone' and (
    new.state <> old.state
    or new.attempt <> old.attempt
    or new.end_time is not old.end_time
    or new.expire_time is not old.expire_time
    or new.result_kind is not old.result_kind
    or new.result is not old.result
    or new.metadata is not old.metadata
  )
begin
  select raise(abort, 'an operation that is done changes no more');
end;

create trigger guard_attempt before update of attempt on operations
  when new.attempt not in (old.attempt, old.attempt + 1)
begin
  select raise(abort, 'an attempt grows by one');
end;

create trigger guard_open before delete on operations
  when old.end_time is null and not (old.external and old.delete_time is not null)
begin
  select raise(abort, 'an operation that is not done is not removed');
end;
`;
