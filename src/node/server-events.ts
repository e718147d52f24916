/** What the log hook of a server hears of. */
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
  /** The health or the operations of the server could not be shut down; the port closes all the same. */
  | { readonly kind: "shutdown-failed"; readonly cause: unknown }
  /** So many connections were cut when the grace of `close` was over. */
  | { readonly kind: "connections-cut"; readonly connections: number };

/** One answered request, for an access log. */
export interface RequestRecord {
  readonly method: string;
  /** Without the query, which may hold what is nobody's business. */
  readonly path: string;
  /** "1.0", "1.1" or "2.0". */
  readonly httpVersion: string;
  /** Of HTTP: gRPC has its own in trailers, and 200 here. */
  readonly status: number;
  /** From the request's headers to the end of the answer, in milliseconds. */
  readonly durationMs: number;
  /** Whether the client or the server broke the answer off. */
  readonly aborted: boolean;
  readonly remoteAddress: string | undefined;
}
