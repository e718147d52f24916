import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { retryHintMs } from "../../src/client/retry-hint.js";
import { RetryInfoSchema } from "../../src/protos.js";

const nowMs = Date.UTC(2026, 0, 1);
const httpDate = (ms: number) => new Date(ms).toUTCString();

/** An error with this header, and with this delay in a RetryInfo. */
function hinting(header?: string, retryDelay?: { seconds?: bigint; nanos?: number }): ConnectError {
  const headers = header === undefined ? undefined : { "retry-after": header };
  const details = retryDelay && [{ desc: RetryInfoSchema, value: { retryDelay } }];
  return new ConnectError("", Code.Unavailable, headers, details);
}

describe("retryHintMs", () => {
  it.each<[string, ConnectError, number | undefined]>([
    ["nothing where the server says nothing", hinting(), undefined],

    // google.rpc.RetryInfo (AIP-194)
    ["RetryInfo in whole seconds", hinting(undefined, { seconds: 7n }), 7000],
    ["RetryInfo in fractions of a second", hinting(undefined, { nanos: 250_000_000 }), 250],
    ["RetryInfo of zero: again at once", hinting(undefined, {}), 0],
    ["RetryInfo before Retry-After", hinting("60", { seconds: 7n }), 7000],
    ["RetryInfo that is negative is no hint", hinting(undefined, { seconds: -1n }), undefined],
    ["RetryInfo of more than 5 minutes is cut", hinting(undefined, { seconds: 301n }), 300_000],
    [
      "RetryInfo of the longest Duration is cut",
      hinting(undefined, { seconds: 315_576_000_000n }),
      300_000,
    ],
    [
      "RetryInfo without a delay leaves it to Retry-After",
      new ConnectError("", Code.Unavailable, { "retry-after": "3" }, [
        { desc: RetryInfoSchema, value: {} },
      ]),
      3000,
    ],

    // Retry-After (RFC 9110, section 10.2.3): delay-seconds
    ["Retry-After in seconds", hinting("7"), 7000],
    ["Retry-After of 0", hinting("0"), 0],
    ["Retry-After with spaces around", hinting(" 7 "), 7000],
    ["Retry-After of exactly 5 minutes", hinting("300"), 300_000],
    ["Retry-After of more than 5 minutes is cut", hinting("301"), 300_000],
    ["Retry-After of very many digits is cut", hinting("9".repeat(400)), 300_000],

    // Retry-After: HTTP-date
    ["Retry-After as a date to come", hinting(httpDate(nowMs + 90_000)), 90_000],
    ["Retry-After as a date gone by: again at once", hinting(httpDate(nowMs - 90_000)), 0],
    ["Retry-After as a date far away is cut", hinting(httpDate(nowMs + 86_400_000)), 300_000],

    ["Retry-After that is neither", hinting("soon"), undefined],
    ["Retry-After that is empty", hinting(""), undefined],
  ])("%s", (_, error, expected) => {
    expect(retryHintMs(error, nowMs)).toBe(expected);
  });
});
