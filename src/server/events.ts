/** An event of the server for its log: a problem that no client gets to see. */
export type OperationsEvent =
  /** The work threw an exception that is not a ConnectError. Its client gets UNKNOWN. */
  | {
      readonly kind: "work-failed";
      readonly name: string;
      readonly method: string;
      readonly attempt: number;
      readonly cause: unknown;
    }
  /** A result or a report came too late: another attempt has the operation, or it is done. */
  | { readonly kind: "attempt-lost"; readonly name: string; readonly attempt: number }
  /** The store, the dispatcher or the signals failed. The server tries again. */
  | { readonly kind: "store-failed"; readonly action: string; readonly cause: unknown }
  /** Work did not stop in time at the shutdown. The server does not wait for it. */
  | { readonly kind: "work-abandoned"; readonly names: readonly string[] };
