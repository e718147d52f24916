import { create } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema, type Status, StatusSchema } from "../../../src/protos.js";

/** Codes of google.rpc.Code that the test server answers with. */
export const codes = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
  UNKNOWN: 2,
} as const;
export type CodeName = keyof typeof codes;

/** An error that a protocol turns into its own form. */
export class RpcError extends Error {
  readonly status: Status;

  constructor(
    readonly codeName: CodeName,
    message: string,
    details: readonly Any[] = [],
  ) {
    super(message);
    this.status = create(StatusSchema, {
      code: codes[codeName],
      message,
      details: [...details],
    });
  }
}

/** An error with the ErrorInfo that AIP-193 demands. */
export function rpcError(
  code: CodeName,
  reason: string,
  message: string,
  metadata: Record<string, string> = {},
): RpcError {
  const info = create(ErrorInfoSchema, { reason, domain: "test.conformance", metadata });
  return new RpcError(code, message, [anyPack(ErrorInfoSchema, info)]);
}
