import { createRequire } from "node:module";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
} from "@grpc/grpc-js";

/** A client of one service with none of our code in it: grpc-js and @grpc/proto-loader. */
export interface ForeignService {
  unary<Response>(method: string, request: object): Promise<Response>;
  serverStream<Response>(method: string, request: object): ClientReadableStream<Response>;
  duplex<Request, Response>(method: string): ClientDuplexStream<Request, Response>;
  close(): void;
}

interface ForeignMethod {
  readonly path: string;
  readonly requestSerialize: (request: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

const here = createRequire(import.meta.url);

/** Resolved from the package that ships the protos, whose dependency it is and not ours. */
function protoLoaderOf(packageName: string): {
  loadSync(file: string, options: object): Record<string, Record<string, ForeignMethod>>;
} {
  return createRequire(here.resolve(packageName))("@grpc/proto-loader");
}

/**
 * Connect to a port of this machine. Enums come as names, unset members of oneofs are absent.
 *
 * @param file the .proto file, absolute.
 */
export function openForeignService(
  port: number,
  { packageName, file, service }: { packageName: string; file: string; service: string },
  channel: ChannelCredentials = credentials.createInsecure(),
): ForeignService {
  const options = { keepCase: true, defaults: true, oneofs: true, enums: String };
  const definition = protoLoaderOf(packageName).loadSync(file, options)[service];
  // Node 26 refuses an IP address as the server name of TLS.
  const client = new Client(`127.0.0.1:${port}`, channel, {
    "grpc.ssl_target_name_override": "localhost",
  });
  const methodOf = (name: string) => {
    const method = definition?.[name];
    if (method === undefined) throw new TypeError(`${file} has no ${name}`);
    return method;
  };
  return {
    unary: <Response>(name: string, request: object) =>
      new Promise<Response>((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = methodOf(name);
        client.makeUnaryRequest(
          path,
          requestSerialize,
          // The caller knows what the protos declare.
          (bytes) => responseDeserialize(bytes) as Response,
          request,
          new Metadata(),
          {},
          (error, response) => {
            if (error !== null) reject(error);
            else if (response === undefined) reject(new TypeError(`${path}: no response`));
            else resolve(response);
          },
        );
      }),
    serverStream<Response>(name: string, request: object) {
      const { path, requestSerialize, responseDeserialize } = methodOf(name);
      const read = (bytes: Buffer) => responseDeserialize(bytes) as Response;
      return client.makeServerStreamRequest(path, requestSerialize, read, request);
    },
    duplex<Request, Response>(name: string) {
      const { path, requestSerialize, responseDeserialize } = methodOf(name);
      const write = (request: Request) => requestSerialize(Object(request));
      const read = (bytes: Buffer) => responseDeserialize(bytes) as Response;
      return client.makeBidiStreamRequest(path, write, read);
    },
    close: () => client.close(),
  };
}
