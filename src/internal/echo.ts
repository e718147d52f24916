/** Longest echo of what a client sent: errors travel in trailers, which are limited. */
const maxEchoLength = 256;

/**
 * What a client sent, cut so that it may stand in an error. Halves of surrogate pairs, which JSON can
 * contain and a cut can make, are replaced: an error with one could not be serialized.
 */
export function echo(value: string): string {
  const cut = value.length <= maxEchoLength ? value : `${value.slice(0, maxEchoLength)}…`;
  return cut.replace(/\p{Surrogate}/gu, "\ufffd");
}
