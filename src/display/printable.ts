/**
 * Returns text from others in a form that is safe for a terminal and for the reader. These
 * characters become escapes: control characters, which could move the cursor or change the display;
 * characters that change the direction of text; and invisible characters, which can hide text. A
 * line break becomes an escape too, so that one line stays one line. The joiners of scripts and
 * emoji (U+200C, U+200D) stay.
 */
export function printable(text: string): string {
  return text.replace(notPrintable, escaped);
}

const notPrintable =
  /[\p{Cc}\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** Escapes as JSON does: a character above U+FFFF is two. */
function escaped(character: string): string {
  let escapes = "";
  for (let at = 0; at < character.length; at += 1) {
    escapes += `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
  }
  return escapes;
}

/** Returns JSON as text that is safe for a terminal. Unprintable characters become JSON escapes. */
export function printableJson(json: unknown, indent: number): string {
  // JSON.stringify escapes U+0000 to U+001F itself, and puts line breaks between members.
  return JSON.stringify(json, undefined, indent).replace(notPrintable, (character) =>
    character === "\n" ? character : escaped(character),
  );
}
