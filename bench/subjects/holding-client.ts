/**
 * Many WaitOperation calls over one connection, by bare node:http2: whatever the client takes is
 * part of the time until the last answer, and this takes least.
 */
import { connect } from "node:http2";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "../../src/node/envelope.js";
import { OperationSchema, Operations, WaitOperationRequestSchema } from "../../src/protos.js";
import { runHolder } from "../child-side.js";
import { waitRequest } from "./wait-request.js";

const headers = {
  ":method": "POST",
  ":path": `/${Operations.typeName}/${Operations.method.waitOperation.name}`,
  "content-type": "application/grpc+proto",
  te: "trailers",
};
/** All answers fit, so that none waits for the client to make room. */
const windowBytes = 16 * 1024 * 1024;

runHolder((port) => {
  const session = connect(`http://127.0.0.1:${port}`);
  session.once("connect", () => session.setLocalWindowSize(windowBytes));
  return {
    hold: (name) =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers);
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("error", reject);
        stream.on("end", () => resolve(Buffer.concat(chunks)));
        const data = toBinary(WaitOperationRequestSchema, waitRequest(name));
        stream.end(encodeEnvelope({ isCompressed: false, data }));
      }),
    assertEnded(answer) {
      const operation = fromBinary(OperationSchema, answer.subarray(5));
      if (!operation.done) throw new Error(`${operation.name} was answered for before its end`);
    },
  };
});
