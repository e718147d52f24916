import { isSameBytes } from "../internal/same-bytes.js";

/**
 * A statement that every implementation of a contract must fulfil, for any test runner:
 * `it(title, () => run(subject))` with a fresh subject.
 */
export interface ContractCase<Subject> {
  /** A sentence about the behaviour. */
  readonly title: string;
  /** Rejects with an Error that names the expectation, if the statement does not hold. */
  run(subject: Subject): Promise<void>;
}

/** Makes a case from its two parts. */
export function contractCase<Subject>(
  title: string,
  run: (subject: Subject) => Promise<void>,
): ContractCase<Subject> {
  return { title, run };
}

/** @throws Error unless the two are the same value, or bytes with the same content. */
export function assertSame(actual: unknown, expected: unknown, what: string): void {
  const same =
    actual instanceof Uint8Array && expected instanceof Uint8Array
      ? isSameBytes(actual, expected)
      : Object.is(actual, expected);
  if (!same) throw new Error(`${what}: expected ${show(expected)}, but it is ${show(actual)}`);
}

/** @throws Error if the condition is false. */
export function assertThat(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`expected that ${what}`);
}

/** Returns the value. @throws Error if it is undefined. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`${what}: expected one, but there is none`);
  return value;
}

function show(value: unknown): string {
  return value instanceof Uint8Array ? `bytes [${value.join(" ")}]` : String(value);
}
