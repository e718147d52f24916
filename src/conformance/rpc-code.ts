import type { Answer } from "./subject.js";

/** Codes of google.rpc.Code by name. */
export const rpcCode = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type CodeName = keyof typeof rpcCode;

/** Whether an answer is a status that is accepted in place of the code. */
export function isStatus({ status }: Answer, code: CodeName): boolean {
  return status?.codes.includes(rpcCode[code]) ?? false;
}
