import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Built, buildForNode } from "../../../bench/build.js";
import { type Operation, OperationSchema, Operations } from "../../../src/protos.js";
import { createSqliteStore } from "../../../src/store/sqlite/index.js";
import { loadDriver } from "../../../src/store/sqlite/load-driver.js";
import {
  PrintMetadataSchema,
  PrintResponseSchema,
  PrintService,
} from "../../gen/printing/v1/printing_pb.js";
import { createDeferred } from "../../support/deferred.js";
import { rejectionOf } from "../../support/rejection.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { drivers } from "./drivers.js";

const kills = 20;

/** A server is killed after 1 to this many starts. */
const maxStartsBeforeKill = 80;

/** How many clients start operations side by side, one after the other each. */
const clients = 6;

let built: Built;

beforeAll(async () => {
  built = await buildForNode(["test/store/sqlite/killed-server.ts"], {
    bundle: true,
    packages: "external",
    outExtension: { ".js": ".mjs" },
  });
});
afterAll(() => built.remove());

interface Server {
  readonly process: ChildProcess;
  readonly transport: Transport;
}

async function startServer(path: string, driver: string): Promise<Server> {
  const child = fork(join(built.folder, "killed-server.mjs"), [path, driver], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const [port] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => {
      throw new Error(`the server exited with ${code}`);
    }),
  ]);
  return {
    process: child,
    transport: createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }),
  };
}

async function kill(server: Server): Promise<void> {
  const exited = once(server.process, "exit");
  server.process.kill("SIGKILL");
  await exited;
}

/** The servers' responses, which must stay true. */
interface Acknowledged {
  /** The pages that each started operation was to print. */
  readonly started: Map<string, number>;
  /** As it came over the wire. */
  readonly done: Map<string, Uint8Array>;
  /** Operations that it may have deleted, although it was killed before it responded. */
  readonly deleting: Set<string>;
  readonly deleted: Set<string>;
}

/** Starts, waits and deletes, until the server is gone. `onStarted` is called after each start. */
async function putUnderLoad(
  { transport }: Server,
  acknowledged: Acknowledged,
  onStarted: () => void,
): Promise<never> {
  const printer = createClient(PrintService, transport);
  const operations = createClient(Operations, transport);
  for (let count = 0; ; count += 1) {
    const pages = 5 + (count % 20);
    const { name } = await printer.print({ pages });
    acknowledged.started.set(name, pages);
    onStarted();
    if (count % 4 === 3) {
      const waited = await operations.waitOperation({ name });
      if (waited.done) acknowledged.done.set(name, bytesOf(waited));
    }
    if (count % 8 === 5) {
      acknowledged.deleting.add(name);
      await operations.deleteOperation({ name });
      acknowledged.deleted.add(name);
    }
  }
}

/** All operations that the server shows, done or not. */
async function listAll({ transport }: Server): Promise<Map<string, Operation>> {
  const operations = createClient(Operations, transport);
  const found = new Map<string, Operation>();
  let pageToken = "";
  do {
    const page = await operations.listOperations({ name: "", pageSize: 1000, pageToken });
    for (const operation of page.operations) found.set(operation.name, operation);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

/** All operations of the server, once all of them are done. */
async function listDone(server: Server): Promise<Map<string, Operation>> {
  const operations = createClient(Operations, server.transport);
  for (;;) {
    const found = await listAll(server);
    const open = [...found.values()].filter(({ done }) => !done);
    if (open.length === 0) return found;
    for (const { name } of open) await operations.waitOperation({ name });
  }
}

function bytesOf(operation: Operation): Uint8Array {
  return Uint8Array.from(toBinary(OperationSchema, operation));
}

function attemptsOf({ metadata }: Operation): number {
  return (metadata && anyUnpack(metadata, PrintMetadataSchema)?.pagesPrinted) ?? 0;
}

function pagesOf({ result }: Operation): number | undefined {
  return result.case === "response"
    ? fromBinary(PrintResponseSchema, result.value.value).pages
    : undefined;
}

describe.each(drivers)("a server over SQLite by %s that is killed", (driver) => {
  it(`loses nothing that it acknowledged, in ${kills} kills under load`, async () => {
    const path = join(await createTemporaryFolder(), "operations.db");
    const acknowledged: Acknowledged = {
      started: new Map(),
      done: new Map(),
      deleting: new Set(),
      deleted: new Set(),
    };
    for (let round = 0; round < kills; round += 1) {
      const server = await startServer(path, driver);
      // Killed a moment after the last start, so that a slow machine is under load too.
      const enough = createDeferred();
      let startsLeft = 1 + Math.floor(Math.random() * maxStartsBeforeKill);
      const load = Array.from({ length: clients }, () =>
        putUnderLoad(server, acknowledged, () => {
          startsLeft -= 1;
          if (startsLeft === 0) enough.resolve();
        }),
      );
      const ends = Promise.allSettled(load);
      if (round % 5 === 0) {
        const refused = await rejectionOf(createSqliteStore({ path, driver }));
        expect(refused.code).toBe(Code.FailedPrecondition);
        expect(refused.rawMessage).toContain("is open elsewhere");
      }
      // A client that ends before the kill got an error.
      await Promise.race([...load, enough.promise.then(() => sleep(Math.random() * 20))]);
      await kill(server);
      await ends;
    }
    const server = await startServer(path, driver);
    const found = await listDone(server);
    const { started, done, deleting, deleted } = acknowledged;
    for (const [name, pages] of started) {
      const operation = found.get(name);
      if (deleted.has(name)) expect(operation, name).toBeUndefined();
      if (deleting.has(name) && operation === undefined) continue;
      expect(operation && pagesOf(operation), name).toBe(pages);
      const shown = done.get(name);
      if (shown !== undefined) expect(operation && bytesOf(operation), name).toEqual(shown);
    }
    const again = [...found.values()].filter((operation) => attemptsOf(operation) > 1);
    // It was under load: something ended, something was deleted, something ran again.
    expect([done.size, deleted.size, again.length].every((size) => size > 0)).toBe(true);
    const exited = once(server.process, "exit");
    server.process.send("stop");
    await exited;
    const connection = (await loadDriver(driver))(path);
    const [integrity] = connection.prepare("pragma integrity_check").all();
    expect(integrity).toMatchObject({ integrity_check: "ok" });
    connection.close();
  }, 180_000);
});
