/**
 * Text as PostgreSQL can hold it: it has no NUL. One is written as `\0`, and so that
 * this can be told from what was there, a backslash is written twice. Equal texts stay
 * equal and different ones different.
 */
export function escapeNul(text: string): string {
  return /[\\\0]/.test(text) ? text.replaceAll("\\", "\\\\").replaceAll("\0", "\\0") : text;
}

/** The text that `escapeNul` was given. */
export function unescapeNul(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\(\\|0)/g, (_, escaped) => (escaped === "0" ? "\0" : "\\"));
}
