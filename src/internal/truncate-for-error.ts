/** Maximum length of client input in an error, because trailers, which carry errors, are limited. */
const maxEchoLength = 256;

/**
 * Truncates client input for an error message. Replaces lone surrogates, which JSON can contain and
 * truncation can create, because an error that contains one cannot be serialized.
 */
export function truncateForError(value: string): string {
  const cut = value.length <= maxEchoLength ? value : `${value.slice(0, maxEchoLength)}…`;
  return cut.replace(/\p{Surrogate}/gu, "\ufffd");
}
