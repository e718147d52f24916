import { isMessage, toJson } from "@bufbuild/protobuf";
import {
  type Duration,
  DurationSchema,
  type Timestamp,
  TimestampSchema,
  timestampFromDate,
} from "@bufbuild/protobuf/wkt";

/** What may stand in a filter. An enum's value goes by its name, as a string (AIP-160). */
export type FilterValue = string | number | bigint | boolean | Date | Timestamp | Duration | Filter;

/**
 * The filter of a list (AIP-160), made by the `filter` tag. Our own lists take it as
 * it is; for any other, `String(it)` gives the text.
 */
export class Filter {
  readonly #text: string;

  /** @internal */
  constructor(text: string) {
    this.#text = text;
  }

  /** The text that a server reads. */
  toString(): string {
    return this.#text;
  }
}

/**
 * Make a list filter (AIP-160) from a template, whose values can never become
 * operators, fields or further conditions:
 *
 * ```ts
 * const stuck = filter`done = ${false} AND metadata.state = ${"PRINTING"}`;
 * const old = filter`${stuck} AND metadata.start_time < ${new Date(Date.now() - 3_600_000)}`;
 * ```
 *
 * - A string is quoted and escaped as in JSON. AIP-160 names no escapes; these are
 *   among those of CEL and of what Google's servers read. To a server that knows none
 *   a quote within a value would be its end, so keep quotes out of values for one.
 * - A timestamp is an RFC 3339 string in UTC, quoted, as its colons are the "has"
 *   operator where they stand bare; a duration is bare, in seconds: `1.5s` (AIP-160).
 * - A filter within a filter is put in parentheses.
 * - The text between the values is the template's own, backslashes included.
 *
 * A string with `*` is refused: in a comparison it would be a wildcard, which AIP-160 has
 * no way to escape. A wildcard that is meant can stand in the text: `name = "a*"`.
 *
 * @throws TypeError naming the value's place: one that is undefined, null, not a finite
 *   number, an object of another kind, a time or duration outside of Protobuf's range,
 *   an empty filter, a string that has `*` or is no well-formed Unicode; or a value that
 *   stands within quotes of the text, as it brings its own.
 */
export function filter(template: TemplateStringsArray, ...values: FilterValue[]): Filter {
  const [first = "", ...rest] = template.raw;
  let text = first;
  let before = first;
  for (const [at, after] of rest.entries()) {
    const refuse = (why: string, cause?: unknown) => {
      const where = `value ${at + 1} of the filter, after ${JSON.stringify(before)}`;
      return new TypeError(`${where}, ${why}`, { cause });
    };
    if (isWithinQuotes(before)) throw refuse("stands within quotes; it brings its own");
    text += textOf(values[at], refuse) + after;
    before = after;
  }
  if (isWithinQuotes(before)) {
    throw new TypeError(`the filter's text ${JSON.stringify(before)} opens a quote and ends in it`);
  }
  return new Filter(text);
}

type Refuse = (why: string, cause?: unknown) => TypeError;

function textOf(value: unknown, refuse: Refuse): string {
  switch (typeof value) {
    case "string":
      return quoted(value, refuse);
    case "boolean":
    case "bigint":
      return String(value);
    case "number":
      if (!Number.isFinite(value)) throw refuse(`is ${value}`);
      // A plus sign is none of the grammar's.
      return String(value).replace("e+", "e");
    case "object":
      if (value === null) throw refuse("is null");
      return objectText(value, refuse);
    default:
      throw refuse(value === undefined ? "is undefined" : `is a ${typeof value}`);
  }
}

function objectText(value: object, refuse: Refuse): string {
  if (value instanceof Filter) {
    const text = String(value);
    if (text.trim() === "") throw refuse("is an empty filter");
    return `(${text})`;
  }
  try {
    if (value instanceof Date) return timeText(timestampFromDate(value));
    if (isMessage(value, TimestampSchema)) return timeText(value);
    // Trailing zeros are of no use: 1.500s is 1.5s.
    if (isMessage(value, DurationSchema)) {
      return toJson(DurationSchema, value).replace(/(\.\d+?)0+s$/, "$1s");
    }
  } catch (cause) {
    throw refuse("is out of range", cause);
  }
  throw refuse("is an object; only dates, timestamps, durations and filters are taken");
}

function timeText(time: Timestamp): string {
  return `"${toJson(TimestampSchema, time)}"`;
}

/** A JSON string, with the control characters and line ends escaped that JSON lets stand. */
function quoted(value: string, refuse: Refuse): string {
  if (value.includes("*")) throw refuse('has a "*", which would be a wildcard (AIP-160)');
  if (/\p{Surrogate}/u.test(value)) throw refuse("is no well-formed Unicode");
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Whether a quote is open at the end of this text. */
function isWithinQuotes(text: string): boolean {
  return /["']/.test(text.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/gs, ""));
}
