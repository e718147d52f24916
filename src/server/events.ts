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
  /** An option is missing, and the server runs without it; `message` says what to do. */
  | { readonly kind: "misconfigured"; readonly message: string }
  /** Work did not stop in time at the shutdown. The server does not wait for it. */
  | { readonly kind: "work-abandoned"; readonly names: readonly string[] };

/** The message for a server whose page tokens other processes and its next start cannot read. */
export const noPageTokenKey =
  "no pageTokenKey: page tokens are refused by other processes and after a restart. Make a key for all processes with: " +
  'node -e \'console.log(require("crypto").randomBytes(32).toString("base64"))\'';
