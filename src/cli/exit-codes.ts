import { Code, ConnectError } from "@connectrpc/connect";
import { OperationError } from "../client/index.js";
import type { OperationStatus } from "../display/operation-summary.js";

/** The exit codes of the command. Scripts rely on them, so they never change. */
export const exitCodes = {
  success: 0,
  failed: 1,
  usage: 2,
  cancelled: 3,
  notFound: 4,
  timeout: 5,
  unreachable: 6,
  refused: 7,
  fault: 70,
  interrupted: 130,
} as const;

/** A short meaning for each exit code, in the order of the codes, for help and documents. */
export const exitCodeMeanings: readonly (readonly [code: number, meaning: string])[] = [
  [exitCodes.success, "done; for wait and watch: the operation succeeded"],
  [exitCodes.failed, "wait, watch: the operation failed"],
  [exitCodes.usage, "the command line, or a file or address that it names, is not valid"],
  [exitCodes.cancelled, "wait, watch: the operation was cancelled"],
  [exitCodes.notFound, "the server does not know the operation"],
  [exitCodes.timeout, "the time given by --timeout was up; the operation goes on"],
  [exitCodes.unreachable, "the server cannot be reached, or is shutting down"],
  [exitCodes.refused, "the server refused the call, or failed at it"],
  [exitCodes.fault, "a fault of this program"],
  [exitCodes.interrupted, "interrupted; the operation goes on"],
];

/** Returns the exit code for the final state of an operation. */
export function exitCodeOfStatus(status: OperationStatus): number {
  switch (status) {
    case "running":
    case "succeeded":
      return exitCodes.success;
    case "failed":
      return exitCodes.failed;
    case "cancelled":
      return exitCodes.cancelled;
  }
}

/** Returns the exit code for an error of a call or a wait, which does not depend on the operation. */
export function exitCodeOfError(error: unknown): number {
  if (error instanceof OperationError) {
    if (error.kind === "timeout") return exitCodes.timeout;
    if (error.kind === "gone") return exitCodes.notFound;
  }
  if (!(error instanceof ConnectError)) return exitCodes.fault;
  switch (error.code) {
    case Code.NotFound:
      return exitCodes.notFound;
    case Code.DeadlineExceeded:
      return exitCodes.timeout;
    case Code.Unavailable:
      return exitCodes.unreachable;
    default:
      return exitCodes.refused;
  }
}
