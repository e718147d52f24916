/** A value, or a promise of the value. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * Whether a value is a promise. The promise may come from any library, not only from the platform.
 */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  if (typeof value !== "object" || value === null) return false;
  return "then" in value && typeof value.then === "function";
}
