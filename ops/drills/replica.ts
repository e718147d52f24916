import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectRouter } from "@connectrpc/connect";
import { createTlsServer, renewCertificate } from "../../examples/tls/server.js";
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createRestHandler } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { connectPostgres } from "../../src/store/postgres/index.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { Print } from "../../test/support/print-server.js";
import { type ReplicaEvent, type ReplicaSettings, restRules } from "./replica-settings.js";

// One replica, to be forked: replica.ts SETTINGS
const settings: ReplicaSettings = JSON.parse(process.argv[2] ?? "");
const { drainDelayMs } = settings;
const report = (event: ReplicaEvent) => process.send?.(event);

const operations = createOperations({
  ...(await connectPostgres({
    connectionString: settings.databaseUrl,
    maxConnections: 8,
    maxConcurrent: settings.maxConcurrent,
    reconcileIntervalMs: 3000,
    observer: { requeued: ({ name }) => report({ kind: "requeued", name }) },
  })),
  maxWaitMs: settings.maxWaitMs,
  pageTokenKey: new Uint8Array(32),
});

/** Lasts as many milliseconds as there are pages, and responds with the number of its attempt. */
const print = operations.handle(
  Print,
  async ({ name, attempt, request, signal }) => {
    report({ kind: "began", name, attempt });
    await sleep(request.pages, undefined, { signal });
    return { pages: attempt };
  },
  { parent: ({ parent }) => parent },
);
const routes = (router: ConnectRouter) => {
  router.service(PrintService, { print });
  router.service(Operations, operations.service);
};

const server = createServer({
  routes,
  operations,
  health: { check: operations.checkStore },
  handlers: (router) => [createRestHandler(router, { rules: restRules })],
});
await server.listen({ port: settings.port });

if (settings.tls !== undefined) {
  const { port, files } = settings.tls;
  const tlsServer = await createTlsServer(files, operations, routes);
  await tlsServer.listen({ port });
  process.on("SIGHUP", () => void renewCertificate(tlsServer, files));
}

// As docs/operate/deploys.md has it.
let { graceMs } = settings;
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, async () => {
    const closed = server.close({ graceMs, drainDelayMs: Math.min(drainDelayMs, graceMs) });
    graceMs = 0;
    await closed;
    process.exit();
  });
}
// The run has ended, in whichever way.
process.on("disconnect", () => process.exit());
report({ kind: "listening" });
