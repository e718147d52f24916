import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ConnectRouter } from "@connectrpc/connect";
import { describe, it } from "vitest";
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createRestHandler } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import type { OperationStore } from "../../src/store/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { createDeferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";

/** How long the work blocks the event loop, in milliseconds. */
const blockedMs = 1500;

const path = `/${PrintService.typeName}/Print`;
const json = ["-H", "content-type: application/json", "-d", "{}"];

/** The arguments of curl for a start over each protocol; `empty` is an enveloped empty message. */
const starts: [protocol: string, args: (empty: string) => string[]][] = [
  ["Connect over HTTP/1.1", () => [...json]],
  ["Connect over HTTP/2", () => ["--http2-prior-knowledge", ...json]],
  [
    "gRPC-Web",
    (empty) => ["-H", "content-type: application/grpc-web+proto", "--data-binary", `@${empty}`],
  ],
  [
    "gRPC",
    (empty) => [
      ...["--http2-prior-knowledge", "-H", "te: trailers"],
      ...["-H", "content-type: application/grpc+proto", "--data-binary", `@${empty}`],
    ],
  ],
];

const stores: [title: string, open: (folder: string) => Promise<OperationStore | undefined>][] = [
  ["memory", async () => undefined],
  ["SQLite", (folder) => createSqliteStore({ path: join(folder, "operations.db") })],
];

describe.each(stores)("the response to a start, with a store in %s", (_, openStore) => {
  it.each(starts)("is sent before work blocks the event loop: %s", async (_, argsOf) => {
    const folder = await createTemporaryFolder();
    const empty = join(folder, "empty");
    await writeFile(empty, new Uint8Array(5));
    const ended = createDeferred();
    const operations = createOperations({ store: await openStore(folder) });
    const print = operations.handle(Print, () => {
      const endMs = performance.now() + blockedMs;
      while (performance.now() < endMs);
      ended.resolve();
      return {};
    });
    const server = createServer({
      routes(router: ConnectRouter) {
        router.service(Operations, operations.service);
        router.service(PrintService, { print });
      },
      operations,
      handlers: (router) => [createRestHandler(router)],
    });
    const { url } = await server.listen();
    try {
      const args = ["-s", "-o", join(folder, "body"), "-w", "%{http_code} %{time_total}"];
      const { stdout } = await promisify(execFile)("curl", [
        ...args,
        ...argsOf(empty),
        `${url}${path}`,
      ]);
      const [status, seconds] = stdout.split(" ");
      assert.equal(status, "200");
      assert.ok(Number(seconds) < blockedMs / 1000, `answered after ${seconds} s`);
      await ended.promise;
    } finally {
      await server.close();
    }
  });
});
