import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createServer, type Server } from "../../src/node/index.js";
import { Operations, WaitOperationRequestSchema } from "../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { createDeferred, type Deferred } from "../support/deferred.js";
import { envelopeBytes } from "../support/envelope-bytes.js";
import { Print } from "../support/print-server.js";
import { openRawConnection } from "../support/raw-connection.js";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

const requestsPerRound = 5000;
const rounds = 4;
/** The number of calls of one connection that run at a time: the default of `maxPipelined`. */
const runningCalls = 8;

let server: Server;
let port: number;
/** An operation that is not done. */
let name: string;
let begun: Deferred<void>;
let ended: Deferred<void>;
const open = new Set<AbortSignal>();

beforeAll(async () => {
  const operations = createOperations();
  server = createServer({
    routes: (router) =>
      router.service(Operations, {
        ...operations.service,
        waitOperation(request, context) {
          const { signal } = context;
          open.add(signal);
          signal.addEventListener("abort", () => {
            open.delete(signal);
            if (open.size === 0) ended.resolve();
          });
          if (open.size === runningCalls) begun.resolve();
          return operations.service.waitOperation(request, context);
        },
      }),
    handlers: (router) => [createRestHandler(router, { rules: operationsHttpRules() })],
    operations,
    // The server reads no further, and notices the end when the next headers are overdue.
    limits: { headersTimeoutMs: 200 },
  });
  ({ port } = await server.listen());
  ({ name } = await operations.create(Print, {}));
});
afterAll(() => server.close({ graceMs: 0 }));

function post(path: string, contentType: string, body: Uint8Array): Buffer {
  const head = [
    `POST ${path} HTTP/1.1`,
    "Host: localhost",
    `Content-Type: ${contentType}`,
    `Content-Length: ${body.length}`,
  ];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]);
}

const rpcPath = `/${Operations.typeName}/WaitOperation`;
const json = () => Buffer.from(JSON.stringify({ name }));
const requests: Record<string, () => Buffer> = {
  REST: () => post(`/v1/${name}:wait`, "application/json", Buffer.from("{}")),
  Connect: () => post(rpcPath, "application/json", json()),
  "gRPC-Web": () => {
    const message = toBinary(
      WaitOperationRequestSchema,
      create(WaitOperationRequestSchema, { name }),
    );
    return post(rpcPath, "application/grpc-web+proto", envelopeBytes(Buffer.from(message)));
  },
};

/** Pipelines all requests on one connection, and disconnects when as many run as may. */
async function round(request: Buffer): Promise<void> {
  begun = createDeferred();
  ended = createDeferred();
  const connection = await openRawConnection(port);
  connection.socket.write(Buffer.concat(Array(requestsPerRound).fill(request)));
  await begun.promise;
  connection.socket.destroy();
  await ended.promise;
}

async function heapBytes(): Promise<number> {
  // A collection frees objects that the turn of the loop before it has released.
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  return process.memoryUsage().heapUsed;
}

describe("5,000 pipelined waits and a disconnect", () => {
  it.each(Object.keys(requests))(
    "leave the heap flat after four rounds, over %s",
    async (protocol) => {
      const request = requests[protocol]?.();
      assert.ok(request);
      // The first rounds compile the code and fill the caches.
      for (let at = 0; at < 2; at += 1) await round(request);
      const before = await heapBytes();
      for (let at = 0; at < rounds; at += 1) await round(request);
      const grown = (await heapBytes()) - before;
      // A waiter that stays costs more than 1 kB; one round had left 8 MB.
      assert.ok(grown < 1_000_000, `the heap grew by ${grown} bytes`);
    },
  );
});
