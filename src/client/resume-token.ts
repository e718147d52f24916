import { fullName, type LongRunningMethod } from "../operation/long-running.js";

/**
 * All that another process needs to take an operation up again, as plain JSON. It
 * holds no headers and no other secret; whoever has it still needs the server's
 * leave to see the operation.
 */
export interface ResumeToken {
  /** Layout of the token. */
  readonly v: 1;
  /** The method that started the operation, `package.Service/Method`. */
  readonly method: string;
  /** Full name of the response's type. */
  readonly response: string;
  /** Full name of the metadata's type. */
  readonly metadata: string;
  /** Name of the operation. */
  readonly name: string;
  /** The AIP-155 request id of its start; absent where that had none. */
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
