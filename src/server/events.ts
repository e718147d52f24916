/**
 * What the server's log hook hears of: what went wrong on this side and that no
 * client is told.
 */
export type OperationsEvent =
  /** The work threw something that is no ConnectError; its client sees UNKNOWN. */
  | {
      readonly kind: "work-failed";
      readonly name: string;
      readonly method: string;
      readonly attempt: number;
      readonly cause: unknown;
    }
  /** A result or report came too late: another attempt has the operation, or it is done. */
  | { readonly kind: "attempt-lost"; readonly name: string; readonly attempt: number }
  /** The store, the dispatcher or the signals failed; it will be tried again. */
  | { readonly kind: "store-failed"; readonly action: string; readonly cause: unknown }
  /** The work did not stop in time at the shutdown, and was left alone. */
  | { readonly kind: "work-abandoned"; readonly names: readonly string[] };

/** Where events go when nobody gave a hook: to standard error. */
export function logToConsole(event: OperationsEvent): void {
  console.error("connect-longrunning:", event);
}
