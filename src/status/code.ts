import { Code } from "@connectrpc/connect";
import { Code as RpcCode } from "../protos.js";

/**
 * The name of a code as google.rpc.Code spells it: `Code.Canceled` is
 * `"CANCELLED"`. A number that is no code of it is `"UNKNOWN"`.
 */
export function codeName(code: Code): string {
  return RpcCode[code] ?? "UNKNOWN";
}

/**
 * The code with this google.rpc.Code name, undefined where there is none; also
 * for `"OK"`, which is no error.
 */
export function codeFromName(name: string): Code | undefined {
  const value: unknown = RpcCode[name as keyof typeof RpcCode];
  return typeof value === "number" ? codeFromNumber(value) : undefined;
}

/** The code with this number, undefined for 0 (OK) and numbers above 16. */
export function codeFromNumber(value: number): Code | undefined {
  return Code[value] === undefined ? undefined : value;
}
