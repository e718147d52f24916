import { Code, ConnectError } from "@connectrpc/connect";
import { createServer } from "../../src/node/index.js";
import { ErrorInfoSchema, Operations } from "../../src/protos.js";
import { createOperations, type OperationsEvent } from "../../src/server/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { createWatchedSignals } from "../protocols/watched-signals.js";
import { registry } from "../protocols/wires.js";
import { createDeferred } from "../support/deferred.js";
import { Print, type PrintWork } from "../support/print-server.js";
import type { PrintGates } from "./print-page.js";

/** A print service over HTTP/1.1 that pages of one other origin may call. */
export interface RpcServer extends PrintGates {
  readonly origin: string;
  /** Close all, and return what the log hook heard. */
  close(): Promise<OperationsEvent[]>;
}

export async function startRpcServer(pageOrigin: string): Promise<RpcServer> {
  const events: OperationsEvent[] = [];
  const signals = createWatchedSignals();
  const operations = createOperations({ signals, log: (event) => events.push(event) });
  let turn = createDeferred();

  /** Print page by page, each when a page of the browser says so. */
  const work: PrintWork = async (operation) => {
    const { request, signal } = operation;
    if (request.pages === 0) throw noPages();
    for (let pagesPrinted = 1; pagesPrinted <= request.pages; pagesPrinted += 1) {
      const printed = createDeferred();
      turn = printed;
      signal.addEventListener("abort", () => printed.reject(signal.reason), { once: true });
      signal.throwIfAborted();
      operation.report({ pagesPrinted });
      await printed.promise;
    }
    return { pages: request.pages };
  };
  const print = operations.handle(Print, work);

  const server = createServer({
    routes(router) {
      router.service(PrintService, { print });
      router.service(Operations, operations.service);
    },
    jsonOptions: { registry },
    cors: { origins: [pageOrigin] },
  });
  const { url } = await server.listen();
  return {
    origin: url,
    // Its own work listens for a cancellation, and makes one subscription itself.
    waited: (name) => signals.subscribed(name, 2),
    waitedNoMore: (name) => signals.subscribed(name, 1),
    goOn: async () => turn.resolve(),
    async close() {
      await server.close({ graceMs: 0 });
      await operations.shutdown({ graceMs: 0 });
      return events;
    },
  };
}

function noPages(): ConnectError {
  const value = { reason: "NO_PAGES", domain: "printing.example.com" };
  return new ConnectError("kein Papier – 紙がない", Code.FailedPrecondition, undefined, [
    { desc: ErrorInfoSchema, value },
  ]);
}
