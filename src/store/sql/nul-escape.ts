/**
 * Returns text without NUL, which PostgreSQL refuses and at which drivers of SQLite cut. NUL becomes
 * `\0`, and a backslash is doubled, so that the escape is unambiguous. Equal texts stay equal and
 * different texts different.
 */
export function escapeNul(text: string): string {
  return /[\\\0]/.test(text) ? text.replaceAll("\\", "\\\\").replaceAll("\0", "\\0") : text;
}

/** Returns the text that `escapeNul` escaped. */
export function unescapeNul(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\(\\|0)/g, (_, escaped) => (escaped === "0" ? "\0" : "\\"));
}
