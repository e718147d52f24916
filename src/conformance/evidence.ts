import type { JsonValue } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import type { Protocol, Sent } from "./wire/answer.js";

/** One call with its response, for a report. Secrets are masked. */
export interface CallEvidence {
  readonly method: string;
  readonly protocol: Protocol;
  /** HTTP method and URL. */
  readonly target: string;
  /** Milliseconds since the case began. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly request: JsonValue;
  /** Body of the request as sent, in base64. */
  readonly requestBytes: string;
  /** OK, the code's name, or the reason for the missing response. */
  readonly result: string;
  readonly httpStatus: number | undefined;
  readonly responseHeaders: Readonly<Record<string, string>>;
  readonly response: JsonValue | undefined;
  readonly responseBytes: string;
}

/** Longest base64 text of a body in a report. */
const maxBase64 = 8192;

/** Returns bytes in base64, cut after 8,192 characters. */
export function base64Of(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "";
  const text = base64Encode(bytes);
  return text.length <= maxBase64 ? text : `${text.slice(0, maxBase64)}…`;
}

const secretHeaders =
  /^(authorization|cookie|set-cookie|proxy-authorization|x-api-key|x-goog-api-key)$/i;

/** Returns a function that replaces secrets in texts by `***`. */
export function createMask(secrets: readonly string[]) {
  const shown = secrets.filter((secret) => secret !== "");
  return {
    text: (text: string) => shown.reduce((whole, secret) => whole.replaceAll(secret, "***"), text),
    headers(fields: Iterable<readonly [string, string]>): Record<string, string> {
      const masked: Record<string, string> = {};
      for (const [name, value] of fields) {
        masked[name] = secretHeaders.test(name) ? "***" : this.text(value);
      }
      return masked;
    },
  };
}

/** Returns headers and trailers of a response as one list. */
export function responseHeadersOf({ response }: Sent): [string, string][] {
  if (response === undefined) return [];
  return [...response.headers.entries(), ...response.trailers.entries()];
}
