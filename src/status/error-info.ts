import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../protos.js";

/** The `domain` of every ErrorInfo that this package makes (AIP-193). */
export const errorDomain = "connect-longrunning";

/** What an error of this package says besides its code and its message. */
export interface ErrorParts {
  /** ErrorInfo.reason: UPPER_SNAKE_CASE, the same for the same fault for ever. */
  reason: string;
  /** ErrorInfo.metadata: the dynamic parts of the message. Default: none. */
  metadata?: Record<string, string> | undefined;
  /** Further standard details. Default: none. */
  details?: ConstructorParameters<typeof ConnectError>[3];
  /** What led to it; for logs, it never crosses the wire. Default: none. */
  cause?: unknown;
}

/**
 * An error as AIP-193 asks for it: the one place where this package makes one.
 * The functions that name each kind of error call it.
 */
export function errorWithInfo(code: Code, message: string, parts: ErrorParts): ConnectError {
  const info = { reason: parts.reason, domain: errorDomain, metadata: parts.metadata ?? {} };
  const details = [{ desc: ErrorInfoSchema, value: info }, ...(parts.details ?? [])];
  return new ConnectError(message, code, undefined, details, parts.cause);
}

/** The detail that asks a caller to try again after this time, in milliseconds (AIP-194). */
export function retryDetail(delayMs: number) {
  return { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(delayMs) } };
}
