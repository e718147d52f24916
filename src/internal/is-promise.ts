/** A value that is there, or still to come. */
export type MaybePromise<T> = T | Promise<T>;

/** Whether a value is still to come. A promise may be of any kind, not only the platform's own. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  if (typeof value !== "object" || value === null) return false;
  return "then" in value && typeof value.then === "function";
}
