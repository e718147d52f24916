import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../protos.js";

/** The `domain` of every ErrorInfo that this package makes (AIP-193). */
export const errorDomain = "connect-longrunning";

/** The parts of an error in addition to its code and its message. */
export interface ErrorParts {
  /** ErrorInfo.reason: UPPER_SNAKE_CASE. It never changes for an error. */
  reason: string;
  /** ErrorInfo.metadata: the dynamic parts of the message. Default: empty. */
  metadata?: Record<string, string> | undefined;
  /** Further standard details. Default: none. */
  details?: ConstructorParameters<typeof ConnectError>[3];
  /** The cause, for logs. It is never sent. Optional. */
  cause?: unknown;
}

/**
 * Returns an error with an ErrorInfo (AIP-193). Each kind of error has a function that calls this one.
 */
export function errorWithInfo(code: Code, message: string, parts: ErrorParts): ConnectError {
  const info = { reason: parts.reason, domain: errorDomain, metadata: parts.metadata ?? {} };
  const details = [{ desc: ErrorInfoSchema, value: info }, ...(parts.details ?? [])];
  return new ConnectError(message, code, undefined, details, parts.cause);
}

/** Returns the RetryInfo for a retry after a delay in milliseconds (AIP-194). */
export function retryDetail(delayMs: number) {
  return { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(delayMs) } };
}
