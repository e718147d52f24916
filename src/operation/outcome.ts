import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { unpackAs } from "../any/any.js";
import type { Operation } from "../protos.js";
import { errorWithInfo } from "../status/error-info.js";
import { errorFromStatus } from "../status/status-error.js";
import type { OperationTypes } from "./long-running.js";

/**
 * What an Operation says right now, payloads unpacked. A failed operation is a
 * value and not an exception: the call that fetched it succeeded (AIP-151).
 */
export type Outcome<Response, Metadata> = Progress<Metadata> &
  (
    | { readonly kind: "running" }
    | { readonly kind: "succeeded"; readonly response: Response }
    /** The operation's error, of any code but CANCELLED. */
    | { readonly kind: "failed"; readonly error: ConnectError }
    /** The operation's error is CANCELLED: somebody asked for it, and it stopped. */
    | { readonly kind: "cancelled"; readonly error: ConnectError }
    /**
     * It is done, and its result cannot be read: there is none (ErrorInfo reason
     * `MISSING_RESULT`), it is of another type than declared (`UNEXPECTED_TYPE`), or
     * its bytes are broken (`MALFORMED_PAYLOAD`). The code is `Code.Internal`.
     */
    | { readonly kind: "malformed"; readonly error: ConnectError }
  );

/** The metadata of an Operation. */
export interface Progress<Metadata> {
  /** Undefined when the server sent none, and when it cannot be read. */
  readonly metadata: Metadata | undefined;
  /**
   * Why metadata that the server did send cannot be read: another type than was
   * declared, or broken bytes. It never stands in the way of the result.
   */
  readonly metadataError: ConnectError | undefined;
}

/** How to read what servers leave open. */
export interface OutcomeOptions {
  /**
   * What an operation means that is done without a result, which operations.proto
   * lets some services do: `malformed`, or `succeeded` with an empty response.
   * Default: `"malformed"`.
   */
  onMissingResult?: "malformed" | "empty" | undefined;
}

/** Read the outcome of an operation, which is left unchanged. Never throws. */
export function outcomeOf<R extends DescMessage, M extends DescMessage>(
  operation: Operation,
  types: OperationTypes<R, M>,
  options: OutcomeOptions = {},
): Outcome<MessageShape<R>, MessageShape<M>> {
  const progress = progressOf(operation, types.metadata);
  if (!operation.done) return { kind: "running", ...progress };
  const { result } = operation;
  switch (result.case) {
    case "response":
      try {
        return { kind: "succeeded", response: unpackAs(result.value, types.response), ...progress };
      } catch (error) {
        return { kind: "malformed", error: ConnectError.from(error, Code.Internal), ...progress };
      }
    case "error": {
      const error = errorFromStatus(result.value);
      return { kind: error.code === Code.Canceled ? "cancelled" : "failed", error, ...progress };
    }
    case undefined:
      return options.onMissingResult === "empty"
        ? { kind: "succeeded", response: create(types.response), ...progress }
        : { kind: "malformed", error: missingResult(operation.name), ...progress };
  }
}

function progressOf<M extends DescMessage>(
  operation: Operation,
  schema: M,
): Progress<MessageShape<M>> {
  if (operation.metadata === undefined) return { metadata: undefined, metadataError: undefined };
  try {
    return { metadata: unpackAs(operation.metadata, schema), metadataError: undefined };
  } catch (error) {
    return { metadata: undefined, metadataError: ConnectError.from(error, Code.Internal) };
  }
}

function missingResult(name: string): ConnectError {
  return errorWithInfo(Code.Internal, `operation "${name}" is done but has no result`, {
    reason: "MISSING_RESULT",
    metadata: { name },
  });
}
