/** No following at all: one GetOperation by Connect's gRPC transport, after a pause. */
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Operations } from "../../src/protos.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { monotonicMs, runFollower } from "../child-side.js";
import { parent } from "./print.js";

/** Idles like the followers of an operation, for a shorter time, which makes no difference. */
const longestMs = 500;

runFollower((port) => {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  const operations = createClient(Operations, transport);
  const started = createClient(PrintService, transport).print({ parent, pages: 1 });
  return async (lastMs) => {
    const { name } = await started;
    await sleep(Math.min(lastMs, longestMs));
    const since = monotonicMs();
    await operations.getOperation({ name });
    return { atMs: monotonicMs(), since };
  };
});
