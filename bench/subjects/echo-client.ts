/** The bytes of GetOperation's request by bare node:http2: the cost of any gRPC client on it. */
import { connect } from "node:http2";
import { runClient } from "../child-side.js";
import { getOperationPath, request } from "./operation-bytes.js";

const headers = {
  ":method": "POST",
  ":path": getOperationPath,
  "content-type": "application/grpc+proto",
  te: "trailers",
};

runClient((baseUrl) => {
  const session = connect(baseUrl);
  const call = () =>
    new Promise<Buffer>((resolve, reject) => {
      const stream = session.request(headers);
      let received: Buffer = Buffer.alloc(0);
      stream.on("data", (chunk: Buffer) => {
        received = received.byteLength === 0 ? chunk : Buffer.concat([received, chunk]);
      });
      stream.on("error", reject);
      stream.on("end", () => resolve(received));
      stream.end(request);
    });
  return { call, answer: async () => new Uint8Array((await call()).subarray(5)) };
});
