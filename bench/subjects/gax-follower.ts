/** `promise()` of google-gax's Operation at its defaults, as its generated clients return it. */
import { Client, credentials } from "@grpc/grpc-js";
import {
  createDefaultBackoffSettings,
  GoogleAuth,
  operation as gaxOperation,
  googleAuthLibrary,
  LongrunningDescriptor,
  lro,
  operationsProtos,
  protobuf,
} from "google-gax";
import { monotonicMs, runFollower } from "../child-side.js";
import { Print, parent } from "./print.js";

const PrintRequest = new protobuf.Type("PrintRequest")
  .add(new protobuf.Field("parent", 1, "string"))
  .add(new protobuf.Field("pages", 2, "int32"));
const PrintResponse = new protobuf.Type("PrintResponse").add(
  new protobuf.Field("pages", 1, "int32"),
);
const PrintMetadata = new protobuf.Type("PrintMetadata").add(
  new protobuf.Field("pagesPrinted", 1, "int32"),
);
const { Operation } = operationsProtos.google.longrunning;

runFollower((port) => {
  const sslCreds = credentials.createInsecure();
  // Credentials that send no request.
  const auth = new GoogleAuth({ authClient: new googleAuthLibrary.PassThroughClient() });
  const operations = lro({ auth }).operationsClient({ servicePath: "127.0.0.1", port, sslCreds });
  const types = new LongrunningDescriptor(
    operations,
    PrintResponse.decode.bind(PrintResponse),
    PrintMetadata.decode.bind(PrintMetadata),
  );
  const client = new Client(`127.0.0.1:${port}`, sslCreds);
  const { parent: service, name: method } = Print.method;
  const print = (pages: number) =>
    new Promise<InstanceType<typeof Operation>>((resolve, reject) => {
      client.makeUnaryRequest(
        `/${service.typeName}/${method}`,
        (request: object) => Buffer.from(PrintRequest.encode(request).finish()),
        (bytes) => Operation.decode(bytes),
        { parent, pages },
        (error, started) => (started === undefined ? reject(error) : resolve(started)),
      );
    });
  return async (lastMs) => {
    const started = await print(lastMs);
    await gaxOperation(started, types, createDefaultBackoffSettings()).promise();
    return { atMs: monotonicMs(), since: { endOf: started.name } };
  };
});
