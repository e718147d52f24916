import { fullName, type LongRunningMethod } from "../operation/long-running.js";

/**
 * Identifies an operation for another process, as plain JSON; docs/reference/resume-tokens.md
 * specifies the format. It contains no headers and no secret: a process that has it still needs the
 * server's permission to read the operation.
 */
export interface ResumeToken {
  /** Version of the format. */
  readonly v: 1;
  /** The method that started the operation, `package.Service/Method`. */
  readonly method: string;
  /** Full name of the response type. */
  readonly response: string;
  /** Full name of the metadata type. */
  readonly metadata: string;
  /** Name of the operation. */
  readonly name: string;
  /** The AIP-155 request id of the start. Missing if the method has no request ids. */
  readonly requestId?: string;
}

export function createResumeToken(
  { method, response, metadata }: LongRunningMethod,
  name: string,
  requestId: string | undefined,
): ResumeToken {
  return Object.freeze({
    v: 1,
    method: fullName(method),
    response: response.typeName,
    metadata: metadata.typeName,
    name,
    ...(requestId !== undefined && { requestId }),
  });
}
