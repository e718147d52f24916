/**
 * Text that others wrote, made safe for a terminal: control characters, which could move the
 * cursor or change what was shown, and characters that change the direction of text are shown as
 * escapes. A line break is one of them, so that what was one line stays one.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/** JSON as text that is safe for a terminal: the characters above are escaped, as JSON may. */
export function printableJson(json: unknown, indent: number): string {
  // JSON.stringify escapes U+0000 to U+001F itself, and puts line breaks between members.
  return JSON.stringify(json, undefined, indent).replace(
    /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    printable,
  );
}
