import { storeOperations } from "../../../src/cli/store-operations.js";
import { type ConsoleOptions, createConsole } from "../../../src/console/index.js";
import { createServer } from "../../../src/node/index.js";
import { type Operation, Operations } from "../../../src/protos.js";
import {
  createOperations,
  type OperationsOptions,
  type OperationsServer,
} from "../../../src/server/index.js";
import { createMemoryStore } from "../../../src/store/index.js";
import { file_backups_v1_backups } from "../../gen/backups/v1/backups_pb.js";

/** A server with a console. */
export interface ConsoleServer {
  /** The address of the server, which has the console at `/console/`. */
  readonly url: string;
  readonly operations: OperationsServer;
  /** The calls of the five methods so far, by name. */
  readonly calls: Map<string, number>;
  close(): Promise<void>;
}

/** Starts a server on a free port, with these operations in memory. */
export async function startConsoleServer(
  operations: readonly Operation[],
  options: ConsoleOptions = {},
  settings: OperationsOptions = {},
): Promise<ConsoleServer> {
  const store = settings.store ?? createMemoryStore();
  await storeOperations(store, operations);
  const served = createOperations({ store, ...settings });
  const calls = new Map<string, number>();
  const server = createServer({
    routes: (router) => void router.service(Operations, served.service),
    interceptors: [
      (next) => (request) => {
        const { name } = request.method;
        calls.set(name, (calls.get(name) ?? 0) + 1);
        return next(request);
      },
    ],
    reflection: { files: [file_backups_v1_backups] },
    operations: served,
    handlers: (router) => [createConsole(router, options)],
  });
  const { url } = await server.listen();
  return { url, operations: served, calls, close: () => server.close({ graceMs: 0 }) };
}
