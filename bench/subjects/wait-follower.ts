/** Starts an operation and waits for it with one WaitOperation call. */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { monotonicMs, runFollower } from "../child-side.js";
import { waitRequest } from "./wait-request.js";

runFollower((port) => {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  const printer = createClient(PrintService, transport);
  const operations = createClient(Operations, transport);
  return async (lastMs) => {
    const { name } = await printer.print({ pages: lastMs });
    let done = false;
    while (!done) ({ done } = await operations.waitOperation(waitRequest(name)));
    return { atMs: monotonicMs(), since: { endOf: name } };
  };
});
