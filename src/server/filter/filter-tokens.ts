import { type FilterFault, invalidFilter } from "../errors.js";

/** One token of a filter. */
export interface Token {
  readonly kind: "text" | "string" | "comparator" | "minus" | "." | "," | "(" | ")" | "end";
  /** The text as it was written; for a string, its value. */
  readonly text: string;
  /** 1-based column of its first character, in UTF-16 units. */
  readonly position: number;
  /** Whether white space is before it. */
  readonly spaced: boolean;
}

const space = /\s+/y;
const comparator = /<=|>=|!=|[<>=:]/y;
const quoted = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/sy;
const text = /[^\s\p{Cc}.,()<>=!:"']+/uy;
/** RFC 3339, whose colons would be operators elsewhere. */
const timestamp = /\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)/y;
const escapes = /\\(?:u([0-9A-Fa-f]{4})|(.))/gsu;

/** The escapes of JSON, and that of the other quote. */
const escaped = new Map([
  ['"', '"'],
  ["'", "'"],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/**
 * Returns the tokens of a filter, followed by a token of the kind `end`. A `-` at the beginning of
 * a word is a separate token. Elsewhere it belongs to the word.
 *
 * @throws ConnectError `Code.InvalidArgument`, reason `INVALID_FILTER`.
 */
export function filterTokens(filter: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(filter)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  for (;;) {
    const spaced = take(space) !== undefined;
    const position = at + 1;
    const push = (kind: Token["kind"], tokenText: string) =>
      tokens.push({ kind, text: tokenText, position, spaced });
    const char = filter.charAt(at);
    switch (char) {
      case "":
        push("end", "");
        return tokens;
      case ".":
      case ",":
      case "(":
      case ")":
        push(char, char);
        at += 1;
        continue;
      case "-":
        push("minus", char);
        at += 1;
        continue;
      case '"':
      case "'": {
        const found = take(quoted);
        if (found === undefined)
          throw fault(filter, position, "the quote that opens here is never closed");
        push("string", unescaped(filter, found, position));
        continue;
      }
    }
    const isField = tokens.at(-1)?.kind === "." && !spaced;
    const word = (isField ? undefined : take(timestamp)) ?? take(text);
    if (word !== undefined) {
      push("text", word);
      continue;
    }
    const operator = take(comparator);
    if (operator === undefined) throw fault(filter, position, strayCharacter(filter, at));
    push("comparator", operator);
  }
}

function strayCharacter(filter: string, at: number): string {
  const char = String.fromCodePoint(filter.codePointAt(at) ?? 0);
  return char === "!"
    ? '"!" stands only in "!="; NOT or "-" negates'
    : `the control character ${JSON.stringify(char)} stands only in quotes`;
}

function unescaped(filter: string, token: string, position: number): string {
  const value = token.slice(1, -1).replace(escapes, (whole, hex, char, offset: number) => {
    if (typeof hex === "string") return String.fromCharCode(Number.parseInt(hex, 16));
    const plain = escaped.get(String(char));
    if (plain !== undefined) return plain;
    const problem = `${JSON.stringify(whole)} is no escape; a backslash is written twice`;
    throw fault(filter, position + 1 + offset, problem);
  });
  if (/\p{Surrogate}/u.test(value)) {
    throw fault(filter, position, "the string holds half a surrogate pair");
  }
  return value;
}

function fault(filter: string, position: number, problem: string) {
  const found: FilterFault = { reason: "INVALID_FILTER", position, problem };
  return invalidFilter(filter, found);
}
