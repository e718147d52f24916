/** An HTTP request, as the tap sends it. */
export interface RawRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Body. Undefined for a request without one. */
  readonly body: Uint8Array | undefined;
  readonly signal: AbortSignal;
  /** Whether the request must not share its connection with other requests. */
  readonly isolated: boolean;
}

/** An HTTP response with its whole body. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Headers;
  /** Empty if the protocol has no trailers. */
  readonly trailers: Headers;
  readonly body: Uint8Array;
}

/**
 * Sends one HTTP request and resolves with the whole response.
 *
 * @throws Error if the connection fails, or if the signal aborts.
 */
export type RawExchange = (request: RawRequest) => Promise<RawResponse>;

/** An exchange that keeps connections open. */
export interface OpenExchange {
  readonly exchange: RawExchange;
  close(): void;
}

/** Largest response body that the tap reads, in bytes: 64 MiB. */
export const maxBodyBytes = 64 * 1024 * 1024;
