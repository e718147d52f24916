import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { createRegistry } from "@bufbuild/protobuf";
import type { ConnectRouter, Transport } from "@connectrpc/connect";
import { expressConnectMiddleware } from "@connectrpc/connect-express";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import * as node from "@connectrpc/connect-node";
import express from "express";
import { fastify } from "fastify";
import { afterEach, describe, it } from "vitest";
import { createLongRunningClient } from "../../src/index.js";
import { createGrpcTransport, createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import {
  createRestHandler,
  createRestTransport,
  operationsHttpRules,
} from "../../src/rest/index.js";
import { createOperations, type OperationsServer } from "../../src/server/index.js";
import { file_printing_v1_printing, PrintService } from "../gen/printing/v1/printing_pb.js";
import { createDeferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";

/** Ends the connections that a test has opened. */
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const registry = createRegistry(file_printing_v1_printing);

/** The HTTP rules of both services. */
const rules = [
  ...operationsHttpRules(),
  {
    selector: "printing.v1.PrintService.Print",
    pattern: { case: "post", value: "/v1/print" } as const,
    body: "*",
  },
];

/** How a client reaches the server. */
const clients: Record<string, (baseUrl: string) => Transport> = {
  "gRPC by Connect": (baseUrl) => node.createGrpcTransport({ baseUrl, ...session(baseUrl) }),
  "gRPC by the fast path": (baseUrl) => createGrpcTransport({ baseUrl, ...session(baseUrl) }),
  "Connect over HTTP/2": (baseUrl) =>
    node.createConnectTransport({ baseUrl, httpVersion: "2", ...session(baseUrl) }),
  "Connect over HTTP/1.1": (baseUrl) =>
    node.createConnectTransport({ baseUrl, httpVersion: "1.1", ...agent() }),
  "gRPC-Web over HTTP/1.1": (baseUrl) =>
    node.createGrpcWebTransport({ baseUrl, httpVersion: "1.1", ...agent() }),
  REST: (baseUrl) => createRestTransport({ baseUrl, rules, registry }),
};

function session(baseUrl: string) {
  const sessionManager = new node.Http2SessionManager(baseUrl);
  undo.push(() => sessionManager.abort());
  return { sessionManager };
}

function agent() {
  const httpAgent = new Agent({ keepAlive: true });
  undo.push(() => httpAgent.destroy());
  return { nodeOptions: { agent: httpAgent } };
}

/** A print service whose work ends once its server drains, and the number of its held waits. */
function createPrinting() {
  const gate = createDeferred<{ pages: number }>();
  let held = 0;
  let onHeld = () => {};
  const operations: OperationsServer = createOperations({
    observer: {
      waitersChanged(count) {
        held = count;
        onHeld();
      },
    },
  });
  const print = operations.handle(Print, () => gate.promise);
  operations.draining.addEventListener("abort", () => {
    setImmediate(() => gate.resolve({ pages: 3 }));
  });
  const routes = (router: ConnectRouter) => {
    router.service(Operations, operations.service);
    router.service(PrintService, { print });
  };
  const holds = (count: number) =>
    new Promise<void>((resolve) => {
      onHeld = () => held === count && resolve();
      onHeld();
    });
  return { operations, routes, holds };
}

/** The waits of one client: fewer than the streams that one HTTP/2 connection may have. */
const waitsPerClient = 50;

/** Starts `count` operations over each protocol, and waits for the results. */
function startWaits(baseUrl: string, protocols: readonly string[], count: number) {
  return protocols.flatMap((protocol) =>
    Array.from({ length: count / waitsPerClient }, () => clients[protocol]).flatMap((open) => {
      assert(open !== undefined);
      const options = { maxHeldWaits: waitsPerClient };
      const client = createLongRunningClient({ print: Print }, open(baseUrl), options);
      return Array.from({ length: waitsPerClient }, async () => (await client.print({})).result());
    }),
  );
}

describe("createServer().close()", () => {
  it("gives 1,000 waits over all protocols the results of the work that ends meanwhile", async () => {
    const { operations, routes, holds } = createPrinting();
    const server = createServer({
      ...{ routes, operations },
      handlers: (router) => [createRestHandler(router, { rules })],
    });
    const { url } = await server.listen();
    const names = Object.keys(clients).slice(1);
    const results = startWaits(url, names, 200);
    await holds(1000);
    const closed = server.close();
    for (const result of results) assert.equal((await result).pages, 3);
    await closed;
  }, 60_000);
});

type Open = (printing: ReturnType<typeof createPrinting>) => Promise<{
  readonly baseUrl: string;
  /** Closes as the documents say: the operations first, then the server. */
  close(): Promise<void>;
}>;

/** Servers of another make, with the protocols that they serve. */
const makes: [title: string, protocols: string[], open: Open][] = [
  [
    "node:http2",
    ["gRPC by Connect", "gRPC by the fast path", "Connect over HTTP/2"],
    async ({ operations, routes }) => {
      const server = createHttp2Server(node.connectNodeAdapter({ routes }));
      const sessions = new Set<ServerHttp2Session>();
      server.on("session", (session) => {
        sessions.add(session);
        session.once("close", () => sessions.delete(session));
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return {
        baseUrl: urlOf(server.address()),
        async close() {
          await operations.shutdown();
          const closed = once(server, "close");
          server.close();
          for (const session of sessions) session.close();
          await closed;
        },
      };
    },
  ],
  [
    "Express",
    ["Connect over HTTP/1.1", "gRPC-Web over HTTP/1.1"],
    async ({ operations, routes }) => {
      const server = createHttp1Server(express().use(expressConnectMiddleware({ routes })));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return {
        baseUrl: urlOf(server.address()),
        async close() {
          await operations.shutdown();
          const closed = once(server, "close");
          server.close();
          // Node keeps connections open for 5 s that were busy at that moment.
          setTimeout(() => server.closeAllConnections(), 500);
          await closed;
        },
      };
    },
  ],
  [
    "Fastify",
    ["Connect over HTTP/1.1", "gRPC-Web over HTTP/1.1"],
    async ({ operations, routes }) => {
      // On Node 26, connections that were busy at the close stay open for this time, by default 72 s.
      const server = fastify({ keepAliveTimeout: 100 });
      await server.register(fastifyConnectPlugin, { routes });
      return {
        baseUrl: await server.listen({ host: "127.0.0.1", port: 0 }),
        async close() {
          await operations.shutdown();
          await server.close();
        },
      };
    },
  ],
];

describe("operations.shutdown() before the close of another server", () => {
  it.each(makes)("gives waits their results on %s", async (_, protocols, open) => {
    const printing = createPrinting();
    const server = await open(printing);
    const results = startWaits(server.baseUrl, protocols, waitsPerClient);
    await printing.holds(waitsPerClient * protocols.length);
    const closed = server.close();
    for (const result of results) assert.equal((await result).pages, 3);
    await closed;
  });
});

function urlOf(address: string | AddressInfo | null): string {
  assert(address !== null && typeof address === "object");
  return `http://127.0.0.1:${address.port}`;
}
