/** `result()` of our client over Connect's gRPC transport. */
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createLongRunningClient } from "../../src/index.js";
import { monotonicMs, runFollower } from "../child-side.js";
import { Print, parent } from "./print.js";

runFollower((port) => {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  const { print } = createLongRunningClient({ print: Print }, transport);
  return async (lastMs) => {
    const operation = await print({ parent, pages: lastMs });
    await operation.result();
    return { atMs: monotonicMs(), since: { endOf: operation.name } };
  };
});
