import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type CallOptions, Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";

/**
 * A client of google.longrunning.Operations with none of our code in it: grpc-js,
 * and the protos that google-gax ships as its own @grpc/proto-loader reads them.
 * Field names are those of the protos.
 */
export interface ForeignOperations {
  get(request: { name: string }): Promise<ForeignOperation>;
  list(request: ForeignListRequest): Promise<ForeignListResponse>;
  /** A call with a deadline of `deadlineMs` milliseconds from now, if that is given. */
  wait(request: ForeignWaitRequest, deadlineMs?: number): Promise<ForeignOperation>;
  cancel(request: { name: string }): Promise<object>;
  delete(request: { name: string }): Promise<object>;
  close(): void;
}

/** An unset message is null, an unset scalar its default, and an unset member of a oneof absent. */
export interface ForeignOperation {
  name: string;
  metadata: ForeignAny | null;
  done: boolean;
  /** The name of the member of the oneof that is set. */
  result?: "response" | "error";
  response?: ForeignAny;
  error?: ForeignStatus;
}

export interface ForeignAny {
  type_url: string;
  value: Buffer;
}

export interface ForeignStatus {
  code: number;
  message: string;
  details: ForeignAny[];
}

interface ForeignListRequest {
  name: string;
  filter?: string;
  page_size?: number;
  page_token?: string;
}

interface ForeignListResponse {
  operations: ForeignOperation[];
  next_page_token: string;
  unreachable: string[];
}

interface ForeignWaitRequest {
  name: string;
  timeout?: { seconds: number; nanos: number };
}

/** The members that the tests use of a method and a message of proto-loader. */
interface ForeignMethod {
  readonly path: string;
  readonly requestSerialize: (request: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}
interface ForeignMessage {
  readonly deserialize: (bytes: Buffer) => object;
}

const gaxMain = createRequire(import.meta.url).resolve("google-gax");
/** Resolved from google-gax, whose dependency it is and not ours. */
const protoLoader: {
  loadSync(
    files: string[],
    options: object,
  ): Record<string, Record<string, ForeignMethod> & ForeignMessage>;
} = createRequire(gaxMain)("@grpc/proto-loader");

const definitions = protoLoader.loadSync(
  ["google/longrunning/operations.proto", "google/rpc/error_details.proto"],
  {
    includeDirs: [join(dirname(gaxMain), "../protos")],
    keepCase: true,
    defaults: true,
    oneofs: true,
  },
);

/** Connect to an insecure port of this machine, over a connection of its own. */
export function createForeignOperations(port: number): ForeignOperations {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const unary = <Request extends object, Response extends object>(name: string) => {
    const { path, requestSerialize, responseDeserialize } = foreignMethod(name);
    return (request: Request, deadlineMs?: number): Promise<Response> =>
      new Promise((resolve, reject) => {
        const options: CallOptions =
          deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
        client.makeUnaryRequest(
          path,
          requestSerialize,
          // It is this method's response type that the protos declare.
          (bytes) => responseDeserialize(bytes) as Response,
          request,
          new Metadata(),
          options,
          (error, response) => {
            if (error !== null) reject(error);
            else if (response === undefined) reject(new TypeError(`${path}: no response`));
            else resolve(response);
          },
        );
      });
  };
  return {
    get: unary("GetOperation"),
    list: unary("ListOperations"),
    wait: unary("WaitOperation"),
    cancel: unary("CancelOperation"),
    delete: unary("DeleteOperation"),
    close: () => client.close(),
  };
}

/** The google.rpc.Status that an error carries in its trailers, each detail read by its type. */
export function foreignStatusOf(error: ServiceError): object {
  const [bytes, ...more] = error.metadata.get("grpc-status-details-bin");
  if (!(bytes instanceof Buffer) || more.length > 0) {
    throw new TypeError("not exactly one grpc-status-details-bin");
  }
  const status = foreignMessage("google.rpc.Status").deserialize(bytes) as ForeignStatus;
  const details = status.details.map(({ type_url, value }) => {
    const typeName = type_url.slice("type.googleapis.com/".length);
    return { "@type": type_url, ...foreignMessage(typeName).deserialize(value) };
  });
  return { ...status, details };
}

function foreignMethod(name: string): ForeignMethod {
  const method = definitions["google.longrunning.Operations"]?.[name];
  if (method === undefined) throw new TypeError(`google-gax has no ${name}`);
  return method;
}

function foreignMessage(typeName: string): ForeignMessage {
  const message = definitions[typeName];
  if (message === undefined) throw new TypeError(`google-gax has no ${typeName}`);
  return message;
}
