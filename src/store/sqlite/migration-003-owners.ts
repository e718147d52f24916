/**
 * The owner of each attempt, the history of lost attempts and the trace context of the start.
 * `lost_attempts` is a JSON array. The columns have no default, so that no row is written.
 *
 * `owner` and `claim_time` belong to attempt `owner_attempt`: a program of before this step claims
 * without them.
 */
export const owners = `
alter table operations add column traceparent text;
alter table operations add column tracestate text;
alter table operations add column owner text;
alter table operations add column owner_attempt integer;
alter table operations add column claim_time integer;
alter table operations add column lost_attempts text;
`;
