import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "@connectrpc/connect";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import { connectPostgres } from "../../../src/store/postgres/index.js";
import { type PrintRequest, PrintService } from "../../gen/printing/v1/printing_pb.js";
import { Print, type PrintWork } from "../print-server.js";
import { startServer } from "../servers.js";
import type { ReplicaMessage } from "./replica.js";

// One replica of a print service, to be forked: replica-program.ts DATABASE_URL worker|api
const [connectionString = "", role] = process.argv.slice(2);
const notifySafely = (message: ReplicaMessage) => process.send?.(message);

const operations = createOperations({
  ...(await connectPostgres({ connectionString, maxConnections: 5, maxConcurrent: 1 })),
  pageTokenKey: new Uint8Array(32),
  log: (event) => {
    if (event.kind === "attempt-lost") notifySafely({ kind: event.kind, name: event.name });
  },
});

/**
 * The first attempt saves a checkpoint and goes on until it is stopped; a later one says which
 * it was.
 */
const work: PrintWork = async (op) => {
  const { name, attempt, signal, checkpoint } = op;
  notifySafely({ kind: "claimed", name, attempt, checkpoint: checkpoint && [...checkpoint] });
  if (attempt > 1) return { pages: attempt };
  op.report({ pagesPrinted: 1 });
  await op.saveCheckpoint(Uint8Array.of(1, 2, 3));
  notifySafely({ kind: "checkpoint-saved", name });
  await sleep(600_000, undefined, { signal }).catch(() => undefined);
  notifySafely({ kind: "aborted", name, code: ConnectError.from(signal.reason).code });
  throw signal.reason;
};

const server = await startServer({
  routes: (router) => {
    // An API process starts operations and runs none.
    const print =
      role === "worker"
        ? operations.handle(Print, work)
        : (request: PrintRequest) => operations.start(Print, request);
    router.service(PrintService, { print });
    router.service(Operations, operations.service);
  },
});
process.on("message", (message) => {
  if (message !== "shut down") return;
  void operations.shutdown({ graceMs: 50 }).then(async () => {
    await server.close();
    process.disconnect();
  });
});
// The test has ended, in whichever way.
process.on("disconnect", () => process.exit());
notifySafely({ kind: "listening", port: server.port });
