/**
 * A replica on PostgreSQL that starts operations and runs none. It says when the request to cancel
 * each of them was written.
 */
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { connectPostgres } from "../../src/store/postgres/index.js";
import { type PrintRequest, PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import type { Seen } from "../child-messages.js";
import { monotonicMs, runListening } from "../child-side.js";
import { databaseUrl } from "./postgres-url.js";
import { Print } from "./print.js";

let cancelledAtMs = new Map<string, number>();

const parts = await connectPostgres({ connectionString: databaseUrl() });
const operations = createOperations({
  ...parts,
  store: {
    ...parts.store,
    async requestCancel(...request) {
      const record = await parts.store.requestCancel(...request);
      cancelledAtMs.set(request[0], monotonicMs());
      return record;
    },
  },
});
const print = (request: PrintRequest) => operations.start(Print, request);

const server = createServer({
  routes: (router) =>
    router.service(Operations, operations.service).service(PrintService, { print }),
});
const { port } = await server.listen();
runListening(port, ({ ask }): Seen | undefined => {
  if (ask !== "seen") return undefined;
  const seen = { endedAtMs: new Map(), cancelledAtMs, requests: 0 };
  cancelledAtMs = new Map();
  return seen;
});
