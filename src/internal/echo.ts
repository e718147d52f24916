/** Longest echo of what a client sent: errors travel in trailers, which are limited. */
const maxEchoLength = 256;

/** What a client sent, as an error may repeat it: cut to 256 characters. */
export function echo(value: string): string {
  if (value.length <= maxEchoLength) return value;
  // Half a surrogate pair cannot be encoded: Connect's gRPC trailers would never be sent.
  return `${value.slice(0, maxEchoLength).replace(/[\ud800-\udbff]$/, "")}…`;
}
