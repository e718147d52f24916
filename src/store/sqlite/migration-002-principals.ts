/**
 * Lists of one caller walk that caller's rows alone, in one parent and across all of them. So
 * neither their duration nor their tokens reveal how much other callers have stored. A caller
 * without a principal is not distinguished from others, and is not in these indexes.
 */
export const principalIndexes = `
create index operations_by_principal on operations (principal, parent)
  where delete_time is null and principal <> '';
create index operations_of_principal on operations (principal)
  where delete_time is null and principal <> '';
create index operations_open_by_principal on operations (principal, parent)
  where delete_time is null and end_time is null and principal <> '';
create index operations_open_of_principal on operations (principal)
  where delete_time is null and end_time is null and principal <> '';
`;
