/** Whether every `%` is followed by two hexadecimal digits. */
export function isWellEscaped(text: string): boolean {
  return !text.includes("%") || !/%(?![0-9A-Fa-f]{2})/.test(text);
}

/** Percent-decodes a text; returns undefined if the result is not UTF-8. */
export function percentDecode(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * Percent-decodes everything except `%2F`, so that an encoded slash does not become one that
 * separates (google/api/http.proto). Returns undefined if the result is not UTF-8.
 */
export function percentDecodeReserved(text: string): string | undefined {
  if (!text.includes("%")) return text;
  let decoded = "";
  let from = 0;
  // The three characters of an encoded slash are ASCII, so no UTF-8 sequence contains them.
  for (const slash of text.matchAll(/%2F/gi)) {
    const part = percentDecode(text.slice(from, slash.index));
    if (part === undefined) return undefined;
    decoded += part + slash[0];
    from = slash.index + slash[0].length;
  }
  const last = percentDecode(text.slice(from));
  return last === undefined ? undefined : decoded + last;
}
