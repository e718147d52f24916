/** Texts of JSON in UTF-8, escaped for use in a page or a script. */

/** The name of a member with its colon. */
export interface Name {
  readonly first: Uint8Array;
  /** Behind a comma. */
  readonly next: Uint8Array;
}

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Thrown for bytes that must be decoded first. Not an Error, whose stack would cost most. */
export const unusual = Symbol("unusual");

export function bytesOf(text: string): Uint8Array {
  return utf8.encode(text);
}

export function nameOf(name: string): Name {
  const first = `${textOf(quoted(name))}:`;
  return { first: bytesOf(first), next: bytesOf(`,${first}`) };
}

export function pageEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}

export function textOf(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw unusual;
  }
}

export function assertUtf8(bytes: Uint8Array): void {
  textOf(bytes);
}

/** Returns a string as JSON, escaped for pages. */
export function quoted(text: string): Uint8Array {
  const json = JSON.stringify(text);
  return bytesOf(json.replace(/[<>&\u2028\u2029]/g, (found) => pageEscape(found.charCodeAt(0))));
}
