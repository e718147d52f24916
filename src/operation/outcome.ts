import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { unpackAs } from "../any/any.js";
import type { Operation } from "../protos.js";
import { errorWithInfo } from "../status/error-info.js";
import { errorFromStatus } from "../status/status-error.js";
import type { OperationTypes } from "./long-running.js";

/**
 * The state of an Operation with its payloads unpacked. A failed operation is a value, not an
 * exception, because the call that returned it succeeded (AIP-151).
 */
export type Outcome<Response, Metadata> = Progress<Metadata> &
  (
    | { readonly kind: "running" }
    | { readonly kind: "succeeded"; readonly response: Response }
    /** The operation's error, of any code except CANCELLED. */
    | { readonly kind: "failed"; readonly error: ConnectError }
    /** The operation's error has the code CANCELLED: it stopped after a cancellation request. */
    | { readonly kind: "cancelled"; readonly error: ConnectError }
    /**
     * The operation is done and its result is unreadable: it is missing (ErrorInfo reason
     * `MISSING_RESULT`), has another type than declared (`UNEXPECTED_TYPE`), or has malformed bytes
     * (`MALFORMED_PAYLOAD`). The code is INTERNAL.
     */
    | { readonly kind: "malformed"; readonly error: ConnectError }
  );

/** The metadata of an Operation. */
export interface Progress<Metadata> {
  /** The unpacked metadata; undefined if it is missing or unreadable. */
  readonly metadata: Metadata | undefined;
  /**
   * Why the metadata is unreadable: it has another type than declared, or malformed bytes. The result
   * can still be read. Undefined if the metadata is readable or missing.
   */
  readonly metadataError: ConnectError | undefined;
}

/** Options for reading an outcome. */
export interface OutcomeOptions {
  /**
   * The outcome of an operation that is done without a result, which operations.proto permits:
   * `malformed`, or `succeeded` with an empty response. Default: `"malformed"`.
   */
  onMissingResult?: "malformed" | "empty" | undefined;
}

/**
 * Returns the outcome of an operation. Never throws, and does not change the operation.
 *
 * @example
 * const outcome = outcomeOf(operation, Print);
 * if (outcome.kind === "succeeded") console.log(outcome.response.pages);
 */
export function outcomeOf<R extends DescMessage, M extends DescMessage>(
  operation: Operation,
  types: OperationTypes<R, M>,
  options: OutcomeOptions = {},
): Outcome<MessageShape<R>, MessageShape<M>> {
  const { value: metadata, error: metadataError } = read(operation.metadata, types.metadata);
  const progress = { metadata, metadataError };
  if (!operation.done) return { kind: "running", ...progress };
  const { result } = operation;
  switch (result.case) {
    case "response": {
      const { value, error } = read(result.value, types.response);
      return error === undefined
        ? { kind: "succeeded", response: value, ...progress }
        : { kind: "malformed", error, ...progress };
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

/** A payload, or why it is unreadable. */
type Payload<Value> =
  | { readonly value: Value; readonly error: undefined }
  | { readonly value: undefined; readonly error: ConnectError };

function read<Desc extends DescMessage, Sent extends Any | undefined>(
  any: Sent,
  schema: Desc,
): Payload<MessageShape<Desc> | (Sent & undefined)> {
  try {
    return { value: any && unpackAs(any, schema), error: undefined };
  } catch (error) {
    return { value: undefined, error: ConnectError.from(error, Code.Internal) };
  }
}

function missingResult(name: string): ConnectError {
  return errorWithInfo(Code.Internal, `operation "${name}" is done but has no result`, {
    reason: "MISSING_RESULT",
    metadata: { name },
  });
}
