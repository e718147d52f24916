import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { ServiceDefinition } from "@grpc/grpc-js";

/** As @grpc/proto-loader reads it, unset members absent. */
export interface PlainOperation {
  readonly name: string;
  readonly metadata?: PlainAny;
  readonly done: boolean;
  readonly response?: PlainAny;
}

interface PlainAny {
  readonly type_url: string;
  readonly value: Uint8Array;
}

const gaxMain = createRequire(import.meta.url).resolve("google-gax");
/** Resolved from google-gax, whose dependency it is and not ours. */
const protoLoader: {
  loadSync(files: string[], options: object): Record<string, ServiceDefinition>;
} = createRequire(gaxMain)("@grpc/proto-loader");

const { "google.longrunning.Operations": definition = {} } = protoLoader.loadSync(
  ["google/longrunning/operations.proto"],
  { includeDirs: [join(dirname(gaxMain), "../protos")], keepCase: true },
);

/** google.longrunning.Operations as grpc-js takes it. */
export const operationsDefinition = definition;
