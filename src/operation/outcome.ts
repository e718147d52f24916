import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
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
    /** Also a cancelled one: `error.code` is `Code.Canceled`. */
    | { readonly kind: "failed"; readonly error: ConnectError }
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

/**
 * Read the outcome of an operation, which is left unchanged.
 *
 * @throws ConnectError `Code.Internal` if `done` is set without `response` or
 *   `error` (operations.proto, oneof `result`; reason `MISSING_RESULT`), or if the
 *   response is malformed or of another type than declared (`unpackAs`).
 */
export function outcomeOf<R extends DescMessage, M extends DescMessage>(
  operation: Operation,
  types: OperationTypes<R, M>,
): Outcome<MessageShape<R>, MessageShape<M>> {
  const progress = progressOf(operation, types.metadata);
  if (!operation.done) return { kind: "running", ...progress };
  const { result } = operation;
  switch (result.case) {
    case "response":
      return { kind: "succeeded", response: unpackAs(result.value, types.response), ...progress };
    case "error":
      return { kind: "failed", error: errorFromStatus(result.value), ...progress };
    case undefined:
      throw missingResult(operation.name);
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
