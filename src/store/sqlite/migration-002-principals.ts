/**
 * Lists of one caller walk that caller's rows alone, in one parent and across all of them. So
 * neither their time nor their tokens tell how much others have stored. A caller without a
 * principal is not told apart from others, and has no place in these indexes.
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
