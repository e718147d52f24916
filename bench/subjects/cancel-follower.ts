/** Starts an operation and cancels it while it runs: `atMs` is when the call was made. */
import { setTimeout as sleep } from "node:timers/promises";
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
    // It runs until it is cancelled; by then it has long been claimed.
    const { name } = await printer.print({ pages: 600_000 });
    await sleep(lastMs);
    const atMs = monotonicMs();
    await operations.cancelOperation({ name });
    // The signal aborts before this is over.
    await operations.waitOperation(waitRequest(name));
    return { atMs, since: { endOf: name } };
  };
});
