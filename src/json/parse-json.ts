import type { JsonValue } from "@bufbuild/protobuf";

/** How deep JSON may nest, in requests and in responses; Protobuf has the same limit. */
export const maxJsonDepth = 100;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Makes the error for bytes that are not acceptable JSON; `problem` completes "the body …". */
type NotJson = (problem: string) => Error;

/**
 * Parses JSON from an untrusted source. It rejects input that two readers could understand
 * differently: an object with a repeated name, and bytes that are not UTF-8.
 *
 * @throws the error of `notJson`, a SyntaxError by default, for anything except JSON (RFC 8259) that nests at most
 *   100 levels deep.
 */
export function parseJson(bytes: Uint8Array, notJson: NotJson = syntaxError): JsonValue {
  const text = decodeText(bytes, notJson);
  const json = parse(text, notJson);
  assertUnambiguous(text, notJson);
  return json;
}

function syntaxError(problem: string): SyntaxError {
  return new SyntaxError(`the input ${problem}`);
}

function decodeText(bytes: Uint8Array, notJson: NotJson): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw notJson("is not UTF-8");
  }
}

function parse(text: string, notJson: NotJson): JsonValue {
  try {
    return JSON.parse(text);
  } catch {
    throw notJson("is not JSON");
  }
}

const quote = 0x22;
const backslash = 0x5c;

/**
 * Rejects nesting that is too deep for the recursive readers of messages, and objects with a
 * repeated name, however it is escaped. The text must be JSON: then a colon outside of strings
 * follows a name.
 */
function assertUnambiguous(text: string, notJson: NotJson): void {
  const open: (Set<string> | undefined)[] = [];
  let stringStart = 0;
  let stringEnd = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case quote:
        stringStart = at;
        at = closingQuote(text, at);
        stringEnd = at + 1;
        break;
      case 0x7b: // {
        open.push(new Set());
        break;
      case 0x5b: // [
        open.push(undefined);
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        break;
      case 0x3a: {
        const names = open.at(-1);
        const literal = text.slice(stringStart, stringEnd);
        const name = literal.includes("\\") ? String(JSON.parse(literal)) : literal.slice(1, -1);
        if (names?.has(name)) throw notJson("has an object with the same name twice");
        names?.add(name);
        break;
      }
    }
    if (open.length > maxJsonDepth) throw notJson(`nests deeper than ${maxJsonDepth} levels`);
  }
}

/** Returns the index of the closing quote of the string that opens at `start`. */
function closingQuote(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1;
  return at;
}
