/** GetOperation by google-gax's OperationsClient, at its defaults. */
import { credentials } from "@grpc/grpc-js";
import { GoogleAuth, googleAuthLibrary, lro, operationsProtos } from "google-gax";
import { runClient } from "../child-side.js";
import { operation } from "./operation.js";

const { GetOperationRequest, Operation } = operationsProtos.google.longrunning;
const request = new GetOperationRequest({ name: operation.name });

runClient((baseUrl) => {
  // Credentials that send no request.
  const auth = new GoogleAuth({ authClient: new googleAuthLibrary.PassThroughClient() });
  const client = lro({ auth }).operationsClient({
    servicePath: "127.0.0.1",
    port: Number(new URL(baseUrl).port),
    sslCreds: credentials.createInsecure(),
  });
  return {
    call: () => client.getOperation(request),
    async answer() {
      const [found] = await client.getOperation(request);
      return new Uint8Array(Operation.encode(found).finish());
    },
  };
});
