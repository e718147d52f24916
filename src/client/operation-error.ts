import { ConnectError } from "@connectrpc/connect";
import type { Operation } from "../protos.js";

/** What a wait met: the operation failed, or somebody had it cancelled. */
export type OperationErrorKind = "failed" | "cancelled";

/**
 * The operation ended without a response. `code`, `rawMessage`, `details` and
 * `findDetails()` are those of its google.rpc.Status.
 *
 * It is a ConnectError to every `instanceof ConnectError`, for which Connect asks
 * that its `name` stays "ConnectError"; `kind` and `operation` tell it apart.
 */
export class OperationError extends ConnectError {
  /** `cancelled` for a Status of code 1 (CANCELLED), `failed` for all others. */
  readonly kind: OperationErrorKind;
  /** The operation as it was last seen. */
  readonly operation: Operation;

  constructor(kind: OperationErrorKind, error: ConnectError, operation: Operation) {
    super(error.rawMessage, error.code);
    this.details = error.details;
    this.kind = kind;
    this.operation = operation;
  }

  // ConnectError's own test takes every ConnectError, which is not enough here.
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof ConnectError && "kind" in value && "operation" in value;
  }
}
