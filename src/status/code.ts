import { Code } from "@connectrpc/connect";
import { Code as RpcCode } from "../protos.js";

/**
 * Returns the name of a code in google.rpc.Code: `Code.Canceled` is `"CANCELLED"`. Returns `"UNKNOWN"`
 * for a number without a name.
 */
export function codeName(code: Code): string {
  return RpcCode[code] ?? "UNKNOWN";
}

/**
 * Returns the code with a name of google.rpc.Code. Returns undefined for `"OK"`, which is not an error,
 * and for other texts.
 */
export function codeFromName(name: string): Code | undefined {
  const value: unknown = RpcCode[name as keyof typeof RpcCode];
  return typeof value === "number" ? codeFromNumber(value) : undefined;
}

/** Returns the code with a number, undefined for 0 (OK) and numbers above 16. */
export function codeFromNumber(value: number): Code | undefined {
  return Code[value] === undefined ? undefined : value;
}
