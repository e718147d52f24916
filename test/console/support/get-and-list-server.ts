import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import {
  type GetOperationRequest,
  GetOperationRequestSchema,
  type ListOperationsRequest,
  ListOperationsRequestSchema,
  type ListOperationsResponse,
  ListOperationsResponseSchema,
  type Operation,
  OperationSchema,
} from "../../../src/protos.js";

/** A server by grpc-js that has GetOperation and ListOperations alone, and ignores every filter. */
export interface GetAndListServer {
  readonly url: string;
  /** The operations, which a test may change. */
  readonly operations: Map<string, Operation>;
  close(): void;
}

export async function startGetAndListServer(
  operations: readonly Operation[],
): Promise<GetAndListServer> {
  const byName = new Map(operations.map((one) => [one.name, one]));
  const server = new Server();
  const path = "/google.longrunning.Operations/";
  const unary = { requestStream: false, responseStream: false } as const;
  server.addService(
    {
      getOperation: {
        ...unary,
        path: `${path}GetOperation`,
        requestDeserialize: (bytes: Buffer) => fromBinary(GetOperationRequestSchema, bytes),
        requestSerialize: (value: GetOperationRequest) =>
          Buffer.from(toBinary(GetOperationRequestSchema, value)),
        responseSerialize: (value: Operation) => Buffer.from(toBinary(OperationSchema, value)),
        responseDeserialize: (bytes: Buffer) => fromBinary(OperationSchema, bytes),
      },
      listOperations: {
        ...unary,
        path: `${path}ListOperations`,
        requestDeserialize: (bytes: Buffer) => fromBinary(ListOperationsRequestSchema, bytes),
        requestSerialize: (value: ListOperationsRequest) =>
          Buffer.from(toBinary(ListOperationsRequestSchema, value)),
        responseSerialize: (value: ListOperationsResponse) =>
          Buffer.from(toBinary(ListOperationsResponseSchema, value)),
        responseDeserialize: (bytes: Buffer) => fromBinary(ListOperationsResponseSchema, bytes),
      },
    },
    {
      getOperation(
        { request }: ServerUnaryCall<{ name: string }, Operation>,
        respond: sendUnaryData<Operation>,
      ) {
        const found = byName.get(request.name);
        if (found === undefined) respond({ code: status.NOT_FOUND, details: "not here" });
        else respond(null, found);
      },
      listOperations(_: unknown, respond: sendUnaryData<ListOperationsResponse>) {
        respond(null, create(ListOperationsResponseSchema, { operations: [...byName.values()] }));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    url: `http://127.0.0.1:${port}`,
    operations: byName,
    close: () => server.forceShutdown(),
  };
}
