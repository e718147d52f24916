import type { JsonValue } from "@bufbuild/protobuf";
import { bodyNotJson } from "./errors.js";

/** How deep JSON may nest, both in requests and in answers; Protobuf itself draws the line there. */
export const maxJsonDepth = 100;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Parse JSON that somebody else wrote. What readers could take for two different things is
 * refused: an object with the same name twice, bytes that are no UTF-8.
 *
 * @throws ConnectError 400 for anything but JSON (RFC 8259) that nests 100 deep at most.
 */
export function parseJson(bytes: Uint8Array): JsonValue {
  const text = decodeText(bytes);
  const json = parse(text);
  assertUnambiguous(text);
  return json;
}

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw bodyNotJson("is no UTF-8");
  }
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text);
  } catch {
    throw bodyNotJson("is no JSON");
  }
}

const quote = 0x22;
const backslash = 0x5c;

/**
 * Refuse what nests too deep for the readers of messages, which recurse, and objects with a name
 * twice, however it is escaped. Takes text that is JSON: a colon outside of strings comes
 * after a name.
 */
function assertUnambiguous(text: string): void {
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
        if (names?.has(name)) throw bodyNotJson("has an object with the same name twice");
        names?.add(name);
        break;
      }
    }
    if (open.length > maxJsonDepth) throw bodyNotJson(`nests deeper than ${maxJsonDepth} levels`);
  }
}

/** The index of the quote that closes the string that opens at `start`. */
function closingQuote(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1;
  return at;
}
