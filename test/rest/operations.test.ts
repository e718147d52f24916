import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createLongRunningClient, createOperationsClient } from "../../src/index.js";
import { OperationSchema, Operations } from "../../src/protos.js";
import { createRestTransport, operationsHttpRules } from "../../src/rest/index.js";
import { createOperations, type OperationsServer } from "../../src/server/index.js";
import {
  PrintMetadataSchema,
  PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";
import { rejectionDetailsOf, rejectionOf } from "../support/rejection.js";
import { type RestServer, startRestServer } from "./support/rest-server.js";

describe.each([
  ["the proto's own rules", undefined, "v1", ""],
  ["a version and a parent", "projects/*/locations/*", "v1alpha", "projects/p/locations/l"],
])("the five methods over REST, by %s", (_, pattern, version, parent) => {
  const rules = operationsHttpRules({ version, parent: pattern });
  let operations: OperationsServer;
  let server: RestServer;
  let transport: Transport;
  beforeAll(async () => {
    operations = createOperations();
    operations.handle(Print, async () => ({ pages: 0 }));
    server = await startRestServer((router) => router.service(Operations, operations.service), {
      rules,
    });
    transport = createRestTransport({ baseUrl: server.baseUrl, rules });
  });
  afterAll(async () => {
    await server.close();
    await operations.shutdown({ graceMs: 1000 });
  });

  const start = async () => (await operations.create(Print, { parent })).name;

  it("server 83: get, list, cancel and wait say what the RPCs say", async () => {
    const rpc = createClient(Operations, transport);
    const name = await start();
    await operations.report(Print, name, { pagesPrinted: 3 });
    const running = await rpc.getOperation({ name });
    const metadata = create(PrintMetadataSchema, { pagesPrinted: 3 });
    const expected = create(OperationSchema, {
      name,
      metadata: anyPack(PrintMetadataSchema, metadata),
    });
    assert.deepEqual(toBinary(OperationSchema, running), toBinary(OperationSchema, expected));

    const waited = await rpc.waitOperation({ name, timeout: { seconds: 0n, nanos: 1_000_000 } });
    assert.equal(waited.done, false);
    for (const listName of [parent, parent === "" ? "operations" : `${parent}/operations`]) {
      const { operations: listed } = await rpc.listOperations({ name: listName });
      assert.deepEqual(
        listed.filter((one) => one.name === name),
        [running],
      );
    }
    await rpc.cancelOperation({ name });
    await operations.fail(name, new ConnectError("stopped", Code.Canceled));
    const { done, result } = await rpc.getOperation({ name });
    assert.ok(done && result.case === "error");
    // Within the Operation it is the RPC's code, and not HTTP's.
    assert.equal(result.value.code, 1);
    const { json } = await server.send("GET", `/${version}/${name}?fields=error(code)`);
    assert.deepEqual(json, { error: { code: 1 } });
  });

  it("delete forgets the operation, and errors come with their details", async () => {
    const rpc = createClient(Operations, transport);
    const name = await start();
    await rpc.deleteOperation({ name });
    const details = await rejectionDetailsOf(rpc.getOperation({ name }));
    assert.equal(details.errorInfo?.reason, "OPERATION_NOT_FOUND");
    assert.equal(details.resourceInfo?.resourceName, name);
  });

  it("createOperationsClient walks lists and waits for results as over any transport", async () => {
    const client = createOperationsClient(transport);
    const names = await Promise.all([start(), start(), start()]);
    const listed: string[] = [];
    for await (const { name } of client.list({ name: parent, pageSize: 1 })) listed.push(name);
    assert.ok(names.every((name) => listed.includes(name)));

    const [first = ""] = names;
    const result = (await client.resume(Print, first)).result();
    await operations.succeed(Print, first, { pages: 7 });
    assert.deepEqual(await result, create(PrintResponseSchema, { pages: 7 }));
  });

  it("server 87: names an operation whose id has slashes, verbs and letters of all kinds", async () => {
    const odd = `${parent === "" ? "" : `${parent}/`}operations/odd~1.2_3-é x:cancel%2F?#&+`;
    const error = await rejectionOf(
      createClient(Operations, transport).getOperation({ name: odd }),
    );
    assert.equal(error.rawMessage, `operation "${odd}" does not exist`);
  });
});

describe("a long-running client over REST", () => {
  it("reads responses by its own types, without a registry", async () => {
    const operations = createOperations();
    const print = operations.handle(Print, async (operation) => {
      const { pages } = operation.request;
      await operation.report({ pagesPrinted: pages });
      return { pages };
    });
    const rules = [
      ...operationsHttpRules(),
      {
        selector: "printing.v1.PrintService.Print",
        pattern: { case: "post" as const, value: "/v1/print" },
        body: "*",
      },
    ];
    const server = await startRestServer(
      (router) => {
        router.service(Operations, operations.service);
        router.service(PrintService, { print });
      },
      { rules },
    );
    const transport = createRestTransport({ baseUrl: server.baseUrl, rules });
    const client = createLongRunningClient({ print: Print }, transport);
    const handle = await client.print({ pages: 7 });
    assert.equal((await handle.result()).pages, 7);
    const resumed = await client.print.resume(handle.name);
    assert.equal((await resumed.result()).pages, 7);
    await server.close();
    await operations.shutdown({ graceMs: 1000 });
  });
});
