import { isMessage, toJson } from "@bufbuild/protobuf";
import {
  type Duration,
  DurationSchema,
  type Timestamp,
  TimestampSchema,
  timestampFromDate,
} from "@bufbuild/protobuf/wkt";

/** A value in a filter. The value of an enum is its name, a string (AIP-160). */
export type FilterValue = string | number | bigint | boolean | Date | Timestamp | Duration | Filter;

/**
 * A list filter (AIP-160) that the `filter` tag made. `list()` and `watchAll()` accept it. For other
 * clients, `String(filter)` is the text.
 */
export class Filter {
  readonly #text: string;

  /** @internal */
  constructor(text: string) {
    this.#text = text;
  }

  /** Returns the text for a server. */
  toString(): string {
    return this.#text;
  }
}

/**
 * Makes a list filter (AIP-160) from a template. A value can never become an operator, a field or a
 * further condition:
 *
 * - A string is quoted and escaped as in JSON. AIP-160 specifies no escapes; these are among those of
 *   CEL and of Google's servers. A server without escapes would end the value at a quote, so values
 *   for such a server must not contain quotes.
 * - A timestamp is a quoted RFC 3339 string in UTC. A duration is in seconds without quotes: `1.5s`
 *   (AIP-160).
 * - A filter within a filter is put in parentheses.
 * - The text between the values is the template's own, including backslashes.
 *
 * A string with `*` is refused, because in a comparison it would be a wildcard, which AIP-160 cannot
 * escape. The text of the template may contain a wildcard: `name = "a*"`.
 *
 * @throws TypeError with the value's position, if the value is undefined, null, not a finite number,
 *   an object of another kind, a time or duration outside of Protobuf's range, an empty filter, a
 *   string that contains `*` or a lone surrogate, or if the template has quotes around the value.
 * @example
 * const stuck = filter`done = ${false} AND metadata.state = ${"PRINTING"}`;
 * const old = filter`${stuck} AND metadata.start_time < ${new Date(Date.now() - 3_600_000)}`;
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
      // The filter grammar has no plus sign.
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
    // Drops trailing zeros: 1.500s becomes 1.5s.
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

/** Returns a JSON string that also escapes the control characters and line ends that JSON permits. */
function quoted(value: string, refuse: Refuse): string {
  if (value.includes("*")) throw refuse('has a "*", which would be a wildcard (AIP-160)');
  if (/\p{Surrogate}/u.test(value)) throw refuse("is no well-formed Unicode");
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Whether a quote is open at the end of the text. */
function isWithinQuotes(text: string): boolean {
  return /["']/.test(text.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/gs, ""));
}
