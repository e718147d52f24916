/** How deep JSON may nest, in requests and in responses; Protobuf has the same limit. */
export const maxJsonDepth = 100;

/**
 * JSON with exact integers: a bigint is an integer of up to 64 bits that a JavaScript number
 * would change.
 */
export type ExactJson = string | number | bigint | boolean | null | ExactJson[] | ExactJsonObject;

export interface ExactJsonObject {
  [name: string]: ExactJson;
}

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
export function parseJson(bytes: Uint8Array, notJson: NotJson = syntaxError): ExactJson {
  const text = decodeText(bytes, notJson);
  const json = parse(text, notJson);
  const { hasLargeInteger } = scan(text, notJson);
  return hasLargeInteger ? parseExactly(text) : json;
}

/**
 * Returns the integer that a decimal text stands for, with an exponent or a zero fraction if it has
 * one. Undefined if it is not an integer, or has more digits than 64 bits hold.
 */
export function integerOf(text: string): bigint | undefined {
  const [matched, sign = "", whole = "", fraction = "", exponentText = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  if (matched === undefined) return undefined;
  const digits = whole + fraction;
  let start = 0;
  while (start < digits.length && digits[start] === "0") start += 1;
  if (start === digits.length) return 0n;
  let end = digits.length;
  while (digits[end - 1] === "0") end -= 1;
  const zeros = Number(exponentText) + whole.length - end;
  if (zeros < 0 || end - start + zeros > maxIntegerDigits) return undefined;
  return BigInt(sign + digits.slice(start, end) + "0".repeat(zeros));
}

/** 18446744073709551615 has 20. */
const maxIntegerDigits = 20;

/** Returns the JSON text of a value, for messages. Large integers within it are in quotes. */
export function exactJsonText(json: ExactJson): string {
  if (typeof json === "bigint") return String(json);
  return JSON.stringify(json, (_, value: ExactJson) =>
    typeof value === "bigint" ? String(value) : value,
  );
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

function parse(text: string, notJson: NotJson): ExactJson {
  try {
    return JSON.parse(text);
  } catch {
    throw notJson("is not JSON");
  }
}

const quote = 0x22;
const backslash = 0x5c;

/**
 * Refuses text that nests too deep for the readers of messages, which recurse, and objects with a
 * name twice, however it is escaped. Takes text that is JSON: a colon outside of strings follows
 * a name.
 */
function scan(text: string, notJson: NotJson): { hasLargeInteger: boolean } {
  const open: (Set<string> | undefined)[] = [];
  let hasLargeInteger = false;
  let stringStart = 0;
  let stringEnd = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    switch (unit) {
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
      default:
        if (isNumberUnit(unit)) {
          const end = endOfNumber(text, at);
          hasLargeInteger ||= largeIntegerOf(text.slice(at, end)) !== undefined;
          at = end - 1;
        }
    }
    if (open.length > maxJsonDepth) throw notJson(`nests deeper than ${maxJsonDepth} levels`);
  }
  return { hasLargeInteger };
}

/** The index of the quote that closes the string that opens at `start`. */
function closingQuote(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1;
  return at;
}

/** Whether a UTF-16 unit begins a number: a digit or a minus sign. */
function isNumberUnit(unit: number): boolean {
  return (unit >= 0x30 && unit <= 0x39) || unit === 0x2d;
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  for (; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    // A number contains digits, "+", "-", ".", "E" and "e".
    const isPart =
      (unit >= 0x30 && unit <= 0x39) ||
      unit === 0x2b ||
      unit === 0x2d ||
      unit === 0x2e ||
      unit === 0x45 ||
      unit === 0x65;
    if (!isPart) break;
  }
  return at;
}

/** The integer of a literal that a JavaScript number would change; undefined for all others. */
function largeIntegerOf(literal: string): bigint | undefined {
  // The number has fewer digits than 2^53, and no exponent.
  if (literal.length < 16 && !/[eE]/.test(literal)) return undefined;
  const integer = integerOf(literal);
  return integer === undefined || BigInt.asIntN(54, integer) === integer ? undefined : integer;
}

/** Parses text that is JSON once more, with large integers as bigints. JSON.parse loses digits. */
function parseExactly(text: string): ExactJson {
  let at = 0;
  const skipSpace = () => {
    while (/[ \t\n\r]/.test(text.charAt(at))) at += 1;
  };
  /** Steps over a separator, and over the space around it. */
  const next = () => {
    skipSpace();
    const separator = text.charAt(at);
    at += 1;
    skipSpace();
    return separator;
  };
  const readString = (): string => {
    const start = at;
    at = closingQuote(text, at) + 1;
    return String(JSON.parse(text.slice(start, at)));
  };
  const readValue = (): ExactJson => {
    const unit = text.charCodeAt(at);
    if (unit === quote) return readString();
    if (unit === 0x7b) return Object.fromEntries(readItems(readMember));
    if (unit === 0x5b) return readItems(readValue);
    const start = at;
    if (isNumberUnit(unit)) {
      at = endOfNumber(text, at);
      const literal = text.slice(start, at);
      return largeIntegerOf(literal) ?? Number(literal);
    }
    at += text.startsWith("false", at) ? 5 : 4;
    return JSON.parse(text.slice(start, at));
  };
  const readMember = (): [name: string, value: ExactJson] => {
    const name = readString();
    next();
    return [name, readValue()];
  };
  const readItems = <T>(readItem: () => T): T[] => {
    next();
    if (/[\]}]/.test(text.charAt(at))) {
      at += 1;
      return [];
    }
    const items = [readItem()];
    while (next() === ",") items.push(readItem());
    return items;
  };
  skipSpace();
  return readValue();
}
