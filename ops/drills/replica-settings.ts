import type { CertificateFiles } from "../../examples/tls/server.js";
import { operationsHttpRules } from "../../src/rest/index.js";

/** The paths of REST: the methods of Operations, and a start. */
export const restRules = [
  ...operationsHttpRules(),
  {
    selector: "printing.v1.PrintService.Print",
    pattern: { case: "post", value: "/v1/prints" },
    body: "*",
  } as const,
];

/** Settings of a replica. Times are in milliseconds. */
export interface ReplicaSettings {
  readonly databaseUrl: string;
  readonly port: number;
  readonly maxWaitMs: number;
  readonly maxConcurrent: number;
  readonly graceMs: number;
  readonly drainDelayMs: number;
  /** A second server with mutual TLS. Default: none. */
  readonly tls?: { readonly port: number; readonly files: CertificateFiles } | undefined;
}

/** The messages of a replica. */
export type ReplicaEvent =
  | { readonly kind: "listening" }
  | { readonly kind: "began"; readonly name: string; readonly attempt: number }
  | { readonly kind: "requeued"; readonly name: string };
