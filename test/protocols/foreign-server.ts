import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import type { ForeignOperation } from "./foreign-operations.js";

/** A grpc-js server of google.longrunning.Operations with none of our code in it. */
export interface ForeignServer {
  readonly baseUrl: string;
  /** Stop listening and cut every connection. */
  close(): void;
}

/** The methods by their names in the protos. Unset scalars are their defaults, unset messages null. */
export interface ForeignMethods {
  GetOperation: handleUnaryCall<{ name: string }, ForeignOperation>;
  ListOperations: handleUnaryCall<ForeignListRequest, ForeignListResponse>;
  WaitOperation: handleUnaryCall<ForeignWaitRequest, ForeignOperation>;
  CancelOperation: handleUnaryCall<{ name: string }, object>;
  DeleteOperation: handleUnaryCall<{ name: string }, object>;
}

export interface ForeignListRequest {
  name: string;
  filter: string;
  page_size: number;
  page_token: string;
}

export interface ForeignListResponse {
  operations: ForeignOperation[];
  next_page_token: string;
  unreachable: string[];
}

export interface ForeignWaitRequest {
  name: string;
  timeout: { seconds: number; nanos: number } | null;
}

const gaxMain = createRequire(import.meta.url).resolve("google-gax");
/** Resolved from google-gax, whose dependency it is and not ours. */
const protoLoader: {
  loadSync(files: string[], options: object): Record<string, ServiceDefinition>;
} = createRequire(gaxMain)("@grpc/proto-loader");

const { "google.longrunning.Operations": definition = {} } = protoLoader.loadSync(
  ["google/longrunning/operations.proto"],
  {
    includeDirs: [join(dirname(gaxMain), "../protos")],
    keepCase: true,
    defaults: true,
    oneofs: true,
    longs: Number,
  },
);

/** Serve these methods; of any other the server has never heard. */
export async function startForeignServer(methods: Partial<ForeignMethods>): Promise<ForeignServer> {
  const server = new Server();
  const registered = Object.entries(definition).filter(([name]) => name in methods);
  server.addService(Object.fromEntries(registered), { ...methods });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { baseUrl: `http://127.0.0.1:${port}`, close: () => server.forceShutdown() };
}
