import { durationMs } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "../protos.js";

/** A server cannot make a client wait longer than this with one hint, in milliseconds. */
const maxHintMs = 5 * 60 * 1000;

/**
 * How long the server asks to be left alone: the RetryInfo of an error
 * (AIP-194), else its `Retry-After` header in seconds or as a date (RFC 9110,
 * section 10.2.3). Undefined where it says nothing, or nothing that makes sense;
 * at most 5 minutes. It holds for one delay.
 */
export function retryHintMs(error: ConnectError, nowMs: number): number | undefined {
  const [retryInfo] = error.findDetails(RetryInfoSchema);
  const hintMs =
    retryInfo?.retryDelay === undefined
      ? retryAfterMs(error.metadata.get("retry-after"), nowMs)
      : durationMs(retryInfo.retryDelay);
  return hintMs !== undefined && hintMs >= 0 ? Math.min(hintMs, maxHintMs) : undefined;
}

function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const time = Date.parse(header);
  return Number.isNaN(time) ? undefined : Math.max(0, time - nowMs);
}
