/**
 * A server of this package with the conformance suite's driver, for all protocols on one port.
 *
 *     tsx conformance/references/connect-longrunning/server.ts PORT [memory | sqlite FILE | postgres URL]
 */
import { createRegistry } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { createServer } from "connect-longrunning/node";
import { file_google_rpc_error_details, Operations } from "connect-longrunning/protos";
import { createRestHandler, operationsHttpRules } from "connect-longrunning/rest";
import {
  type Authorize,
  createOperations,
  type OperationsOptions,
} from "connect-longrunning/server";
import { connectPostgres } from "connect-longrunning/store/postgres";
import { createSqliteStore } from "connect-longrunning/store/sqlite";
import { Driver } from "../../../src/conformance/driver.js";
import { createDriver } from "./driver-service.js";

const [port = "0", kind = "memory", place = ""] = process.argv.slice(2);

const operations = createOperations({
  ...(await storeOf()),
  authorize: bySender(),
  // Tokens survive a restart of a durable store.
  pageTokenKey: new Uint8Array(32).fill(7),
  reportIntervalMs: 20,
  log: () => undefined,
});
const driver = createDriver(operations);
const routes = (router: ConnectRouter) => {
  router.service(Operations, operations.service);
  router.service(Driver, driver);
};
// JSON of a failed operation contains the details of google.rpc.
const registry = createRegistry(Driver.file, file_google_rpc_error_details);
const rest = { rules: operationsHttpRules({ parent: "printers/*" }), registry };
const server = createServer({
  routes,
  jsonOptions: { registry },
  reflection: { files: [Driver.file] },
  operations,
  log: () => undefined,
  handlers: (router) => [createRestHandler(router, rest)],
});
const { url } = await server.listen({ port: Number(port) });
console.log(`listening on ${url}`);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void server.close({ graceMs: 200 }).then(() => process.exit(0)));
}

async function storeOf(): Promise<Partial<OperationsOptions>> {
  if (kind === "sqlite") return { store: await createSqliteStore({ path: place }) };
  if (kind !== "postgres") return {};
  const { store, dispatcher, signals } = await connectPostgres({ connectionString: place });
  return { store, dispatcher, signals };
}

/** The bearer's name is the principal, which sees its own operations only. */
function bySender(): Authorize {
  return ({ context }) => {
    const principal = /^Bearer (\w+)$/.exec(context.requestHeader.get("authorization") ?? "")?.[1];
    return principal === undefined ? { allow: false } : { allow: true, principal, sees: "own" };
  };
}
