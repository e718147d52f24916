import assert from "node:assert/strict";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { fallback as gax, type OperationsClient, operationsProtos } from "google-gax";
import { afterAll, beforeAll, describe, it } from "vitest";
import { Operations } from "../../../src/protos.js";
import { operationsHttpRules } from "../../../src/rest/index.js";
import { createOperations, type OperationsServer } from "../../../src/server/index.js";
import { connectPostgres } from "../../../src/store/postgres/index.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { openGax } from "../../rest/support/open-gax.js";
import { startRestServer } from "../../rest/support/rest-server.js";
import { createDeferred } from "../../support/deferred.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";
import { untilAborted } from "../../support/print-work.js";
import { type RoundRobinProxy, startRoundRobinProxy } from "../../support/round-robin-proxy.js";
import { startServer } from "../../support/servers.js";
import { createForeignOperations, type ForeignOperations } from "../foreign-operations.js";
import { openGaxOperations, PrintMetadata, PrintResponse, pollWithGax } from "../gax-operations.js";

const parent = "projects/p/locations/l";
const minute = { seconds: 60, nanos: 0 };

/** One of two servers on one database, with a port for gRPC and one for REST. */
interface Replica {
  readonly operations: OperationsServer;
  readonly grpcPort: number;
  readonly restPort: number;
  /** Resolves when this replica holds a WaitOperation call. */
  readonly holdsWait: Promise<void>;
  close(): Promise<void>;
}

async function startReplica(connectionString: string): Promise<Replica> {
  const waits = createDeferred();
  const operations = createOperations({
    ...(await connectPostgres({ connectionString, maxConnections: 5 })),
    pageTokenKey: new Uint8Array(32),
    observer: {
      waitersChanged: (count) => {
        if (count > 0) waits.resolve();
      },
    },
  });
  const print = operations.handle(Print, untilAborted);
  const routes = (router: ConnectRouter) => {
    router.service(Operations, operations.service);
    router.service(PrintService, { print });
  };
  const grpc = await startServer({ routes });
  const rest = await startRestServer(routes, {
    rules: operationsHttpRules({ version: "v1alpha", parent: "projects/*/locations/*" }),
  });
  return {
    operations,
    grpcPort: grpc.port,
    restPort: rest.port,
    holdsWait: waits.promise,
    async close() {
      await grpc.close();
      await rest.close();
      await operations.shutdown({ graceMs: 100 });
    },
  };
}

let replicas: Replica[];
/** The replica that the test drives; clients reach either of the two. */
let driver: OperationsServer;
let grpc: RoundRobinProxy;
let rest: RoundRobinProxy;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  replicas = [await startReplica(url), await startReplica(url)];
  const [first] = replicas;
  assert.ok(first);
  driver = first.operations;
  grpc = await startRoundRobinProxy(replicas.map(({ grpcPort }) => grpcPort));
  rest = await startRoundRobinProxy(replicas.map(({ restPort }) => restPort));
}, 60_000);

afterAll(async () => {
  await Promise.all([grpc.close(), rest.close()]);
  await Promise.all(replicas.map((replica) => replica.close()));
});

const newOperation = async () => (await driver.create(Print, { parent })).name;

// Two clients of each kind, so that one is a client of the other replica than the one that drives.
describe("grpc-js on two replicas behind a round-robin proxy", () => {
  let clients: [ForeignOperations, ForeignOperations];
  const onBoth = <T>(call: (client: ForeignOperations) => Promise<T>) =>
    Promise.all(clients.map(call));

  beforeAll(async () => {
    clients = [createForeignOperations(grpc.port), createForeignOperations(grpc.port)];
    await onBoth((client) => client.list({ name: parent }));
    assert.deepEqual(grpc.connections, [1, 1]);
  });
  afterAll(() => {
    for (const client of clients) client.close();
  });

  it("durability I8: reads on both at once what one of them has written", async () => {
    const name = await newOperation();
    await driver.report(Print, name, { pagesPrinted: 3 });
    const running = { type_url: "type.googleapis.com/printing.v1.PrintMetadata", value: "0803" };
    for (const { metadata, done } of await onBoth((client) => client.get({ name }))) {
      const shown = metadata && { ...metadata, value: metadata.value.toString("hex") };
      assert.deepEqual({ shown, done }, { shown: running, done: false });
    }
    const error = new ConnectError("jammed", Code.Aborted);
    error.details = [{ type: "paper.v9.Jam", value: Buffer.from("1a02fffe", "hex") }];
    await driver.fail(name, error);
    for (const { error: shown } of await onBoth((client) => client.get({ name }))) {
      const detail = shown?.details[0]?.value.toString("hex");
      assert.deepEqual([shown?.code, shown?.message, detail], [10, "jammed", "1a02fffe"]);
    }
  });

  it("durability I7: is woken on both by an end that one of them writes", async () => {
    const name = await newOperation();
    const waited = onBoth((client) => client.wait({ name, timeout: minute }));
    await Promise.all(replicas.map(({ holdsWait }) => holdsWait));
    await driver.succeed(Print, name, { pages: 3 });
    const values = (await waited).map(({ response }) => response?.value.toString("hex"));
    assert.deepEqual(values, ["0803", "0803"]);
  });

  it("durability I5: cancels through either what runs on whichever", async () => {
    const started = [await driver.start(Print, { parent }), await driver.start(Print, { parent })];
    const ended = await Promise.all(
      started.map(async ({ name }, at) => {
        await clients[at === 0 ? 0 : 1].cancel({ name });
        return clients[at === 0 ? 1 : 0].wait({ name, timeout: minute });
      }),
    );
    const codes = ended.map(({ done, error }) => [done, error?.code]);
    assert.deepEqual(codes, [
      [true, status.CANCELLED],
      [true, status.CANCELLED],
    ]);
  });

  it("durability I9: goes on with a list on the one that it began on the other", async () => {
    const name = `${parent}x`;
    const names: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      names.unshift((await driver.create(Print, { parent: name })).name);
    }
    const [one, other] = clients;
    const first = await one.list({ name, page_size: 2 });
    const page_token = first.next_page_token;
    const second = await other.list({ name, page_size: 2, page_token });
    const found = [...first.operations, ...second.operations].map((operation) => operation.name);
    assert.deepEqual(found, names);
    assert.equal(second.next_page_token, "");
  });

  it("deletes on one what the other does not find any more", async () => {
    const name = await newOperation();
    const [one, other] = clients;
    await one.delete({ name });
    await assert.rejects(other.get({ name }), { code: status.NOT_FOUND });
  });
});

describe("google-gax over gRPC on two replicas behind a round-robin proxy", () => {
  let clients: [OperationsClient, OperationsClient];
  beforeAll(() => {
    clients = [openGaxOperations(grpc.port), openGaxOperations(grpc.port)];
  });
  afterAll(() => {
    for (const client of clients) client.close();
  });

  it("polls on both to the typed result, and walks the list", async () => {
    const before = [...grpc.connections];
    const name = await newOperation();
    await driver.report(Print, name, { pagesPrinted: 2 });
    const polled = await Promise.all(clients.map((client) => pollWithGax(client, name)));
    assert.deepEqual(
      grpc.connections.map((count, at) => count - (before[at] ?? 0)),
      [1, 1],
    );
    const results = polled.map((operation) => operation.promise());
    await driver.succeed(Print, name, { pages: 3 });
    for (const result of await Promise.all(results)) {
      assert.ok(Array.isArray(result));
      assert.deepEqual(result.slice(0, 2), [
        PrintResponse.create({ pages: 3 }),
        PrintMetadata.create({ pagesPrinted: 2 }),
      ]);
    }
    const { ListOperationsRequest } = operationsProtos.google.longrunning;
    for (const client of clients) {
      const request = new ListOperationsRequest({ name: parent, filter: `name = "${name}"` });
      const found: unknown[] = [];
      for await (const each of client.listOperationsAsync(request, { autoPaginate: false })) {
        found.push(each.name);
      }
      assert.deepEqual(found, [name]);
    }
  });
});

describe("google-gax over REST on two replicas behind a round-robin proxy", () => {
  /** The messages of google-gax are classes; its calls take plain objects as well. */
  const request = <T extends object>(fields: object): T =>
    Object.assign(Object.create(null), fields);

  it("follows, cancels and deletes on both", async () => {
    const google = openGax(rest.port);
    try {
      const { client, descriptor } = google;
      const name = await newOperation();
      // At once, so that each has a connection of its own.
      const both = () =>
        Promise.all([
          client.getOperation(request({ name })),
          client.getOperation(request({ name })),
        ]);
      const [[first]] = await both();
      const settings = {
        ...gax.createDefaultBackoffSettings(),
        initialRetryDelayMillis: 5,
        maxRetryDelayMillis: 5,
      };
      const result = gax.operation(first, descriptor, settings).promise();
      await driver.succeed(Print, name, { pages: 7 });
      const answered = await result;
      assert.ok(Array.isArray(answered));
      assert.deepEqual({ ...answered[0] }, { pages: 7 });

      const cancelled = await newOperation();
      await client.cancelOperation(request({ name: cancelled }));
      assert.equal((await driver.report(Print, cancelled, {})).cancelRequested, true);
      // Without details: this client knows the types of its own protos alone, and no ErrorInfo.
      await driver.fail(cancelled, new ConnectError("stopped", Code.Canceled));
      const [ended] = await client.getOperation(request({ name: cancelled }));
      assert.equal(ended.error?.code, status.CANCELLED);

      await client.deleteOperation(request({ name }));
      const gone = await Promise.allSettled([
        client.getOperation(request({ name })),
        client.getOperation(request({ name })),
      ]);
      for (const outcome of gone) {
        assert.ok(outcome.status === "rejected" && "status" in outcome.reason);
        assert.equal(outcome.reason.status, 404);
      }
      for (const count of rest.connections) assert.ok(count > 0, `${rest.connections}`);
    } finally {
      google.client.close();
    }
  });
});
