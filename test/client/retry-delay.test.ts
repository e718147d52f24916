import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { retryDelayMs } from "../../src/client/retry-delay.js";
import { RetryInfoSchema } from "../../src/protos.js";

const nowMs = Date.UTC(2026, 0, 1);
const httpDate = (ms: number) => new Date(ms).toUTCString();

/** An error with this header, and with this delay in a RetryInfo. */
function hinting(header?: string, retryDelay?: { seconds?: bigint; nanos?: number }): ConnectError {
  const headers = header === undefined ? undefined : { "retry-after": header };
  const details = retryDelay && [{ desc: RetryInfoSchema, value: { retryDelay } }];
  return new ConnectError("", Code.Unavailable, headers, details);
}

describe("retryDelayMs", () => {
  it.each<[string, ConnectError, number]>([
    ["no delay if the server asks for none", hinting(), 0],

    // google.rpc.RetryInfo (AIP-194)
    ["RetryInfo in whole seconds", hinting(undefined, { seconds: 7n }), 7000],
    ["RetryInfo in fractions of a second", hinting(undefined, { nanos: 250_000_000 }), 250],
    ["RetryInfo of zero", hinting(undefined, {}), 0],
    ["RetryInfo before Retry-After", hinting("60", { seconds: 7n }), 7000],
    ["negative RetryInfo", hinting(undefined, { seconds: -1n }), 0],
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
    ["Retry-After as a date in the past", hinting(httpDate(nowMs - 90_000)), 0],
    ["Retry-After as a date far away is cut", hinting(httpDate(nowMs + 86_400_000)), 300_000],

    ["Retry-After that is neither", hinting("soon"), 0],
    ["Retry-After that is empty", hinting(""), 0],
  ])("%s", (_, error, expected) => {
    expect(retryDelayMs(error, nowMs)).toBe(expected);
  });
});
