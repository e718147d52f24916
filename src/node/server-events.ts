/** An event that the log hook of a server is called with. */
export type ServerEvent =
  /** A handler failed in a way that it should not, or its answer could not be sent. */
  | { readonly kind: "handler-failed"; readonly path: string; readonly cause: unknown }
  /** There were `maxConnections` already, and one more was closed at once. */
  | { readonly kind: "connection-refused"; readonly remoteAddress: string | undefined }
  /**
   * A client broke a connection off, or the rules of TLS or HTTP/2. Any client can cause these,
   * as many as it likes; the default hook does not print them.
   */
  | { readonly kind: "connection-failed"; readonly cause: unknown }
  /** The health or the operations of the server could not be shut down; the port closes nevertheless. */
  | { readonly kind: "shutdown-failed"; readonly cause: unknown }
  /** The number of connections that were cut when the grace of `close` was over. */
  | { readonly kind: "connections-cut"; readonly connections: number };

/** One answered request, for an access log. */
export interface RequestRecord {
  readonly method: string;
  /** The path without the query, which may hold secrets. */
  readonly path: string;
  /** "1.0", "1.1" or "2.0". */
  readonly httpVersion: string;
  /** The HTTP status: 200 for gRPC, whose own status is in trailers. */
  readonly status: number;
  /** The time from the request's headers to the end of the response, in milliseconds. */
  readonly durationMs: number;
  /** Whether the client or the server broke the answer off. */
  readonly aborted: boolean;
  readonly remoteAddress: string | undefined;
}
