import { credentials } from "@grpc/grpc-js";
import {
  createBackoffSettings,
  GoogleAuth,
  operation as gaxOperation,
  googleAuthLibrary,
  LongrunningDescriptor,
  lro,
  type OperationsClient,
  operationsProtos,
  protobuf,
} from "google-gax";

/** The print service's response, as google-gax's clients decode it. */
export const PrintResponse = new protobuf.Type("PrintResponse").add(
  new protobuf.Field("pages", 1, "int32"),
);
export const PrintMetadata = new protobuf.Type("PrintMetadata").add(
  new protobuf.Field("pagesPrinted", 1, "int32"),
);

/** google-gax's own client of Operations, over gRPC and a connection of its own. */
export function openGaxOperations(port: number): OperationsClient {
  // Credentials that send no request.
  const auth = new GoogleAuth({ authClient: new googleAuthLibrary.PassThroughClient() });
  return lro({ auth }).operationsClient({
    servicePath: "127.0.0.1",
    port,
    sslCreds: credentials.createInsecure(),
    "grpc.use_local_subchannel_pool": 1,
  });
}

/** Take up an operation as google-gax's clients do after a start. */
export async function pollWithGax(client: OperationsClient, name: string) {
  const { GetOperationRequest } = operationsProtos.google.longrunning;
  const [first] = await client.getOperation(new GetOperationRequest({ name }));
  const types = new LongrunningDescriptor(
    client,
    PrintResponse.decode.bind(PrintResponse),
    PrintMetadata.decode.bind(PrintMetadata),
  );
  // Delays in milliseconds: first, multiplier, longest.
  return gaxOperation(first, types, createBackoffSettings(1, 1, 1, null, null, null, 60_000));
}
