import type { RequestListener } from "node:http";
import { Code, ConnectError, cors } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ErrorInfoSchema, Operations } from "../../src/protos.js";
import { createOperations, type OperationsEvent } from "../../src/server/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { createWatchedSignals } from "../protocols/watched-signals.js";
import { registry } from "../protocols/wires.js";
import { createDeferred } from "../support/deferred.js";
import { Print, type PrintWork } from "../support/print-server.js";
import { startHttpServer } from "./http-server.js";
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

  const adapter = connectNodeAdapter({
    routes(router) {
      router.service(PrintService, { print });
      router.service(Operations, operations.service);
    },
    jsonOptions: { registry },
  });
  const server = await startHttpServer(withCors(pageOrigin, adapter));
  return {
    origin: server.origin,
    // Its own work listens for a cancellation, and makes one subscription itself.
    waited: (name) => signals.subscribed(name, 2),
    waitedNoMore: (name) => signals.subscribed(name, 1),
    goOn: async () => turn.resolve(),
    async close() {
      await server.close();
      await operations.shutdown({ graceMs: 0 });
      return events;
    },
  };
}

/** What Connect's own lists let through, and the one header that our client sends besides. */
function withCors(origin: string, listener: RequestListener): RequestListener {
  const allowedHeaders = [...cors.allowedHeaders, "x-goog-request-params"];
  return (request, response) => {
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("access-control-expose-headers", cors.exposedHeaders.join(", "));
    if (request.method !== "OPTIONS") {
      listener(request, response);
      return;
    }
    response.setHeader("access-control-allow-methods", cors.allowedMethods.join(", "));
    response.setHeader("access-control-allow-headers", allowedHeaders.join(", "));
    response.setHeader("access-control-max-age", "7200");
    response.writeHead(204).end();
  };
}

function noPages(): ConnectError {
  const value = { reason: "NO_PAGES", domain: "printing.example.com" };
  return new ConnectError("kein Papier – 紙がない", Code.FailedPrecondition, undefined, [
    { desc: ErrorInfoSchema, value },
  ]);
}
