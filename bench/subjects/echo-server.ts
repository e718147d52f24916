/** The bytes of GetOperation's answer by bare node:http2: the cost of any gRPC server on it. */
import { createServer } from "node:http2";
import { runServer } from "../child-side.js";
import { answer } from "./operation-bytes.js";

const headers = { ":status": 200, "content-type": "application/grpc+proto" };
const trailers = { "grpc-status": "0" };

const server = createServer();
server.on("stream", (stream) => {
  stream.resume();
  stream.on("end", () => {
    stream.respond(headers, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.end(answer);
  });
});

await runServer(server);
