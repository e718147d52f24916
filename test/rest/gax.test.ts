import assert from "node:assert/strict";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { fallback as gax } from "google-gax";
import { afterAll, beforeAll, describe, it } from "vitest";
import { Operations } from "../../src/protos.js";
import { operationsHttpRules } from "../../src/rest/index.js";
import { createOperations, type OperationsServer } from "../../src/server/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";
import { openGax } from "./support/open-gax.js";
import { type RestServer, startRestServer } from "./support/rest-server.js";

describe("google-gax in its REST mode", () => {
  const parent = "projects/p/locations/l";
  let operations: OperationsServer;
  let server: RestServer;
  let google: ReturnType<typeof openGax>;
  beforeAll(async () => {
    operations = createOperations();
    operations.handle(Print, async () => ({ pages: 0 }));
    const routes = (router: ConnectRouter) => {
      router.service(Operations, operations.service);
      // With it the types of its operations are known.
      router.service(PrintService, {});
    };
    server = await startRestServer(routes, {
      rules: operationsHttpRules({ version: "v1alpha", parent: "projects/*/locations/*" }),
    });
    google = openGax(server.port);
  });
  afterAll(async () => {
    google.client.close();
    await server.close();
    await operations.shutdown({ graceMs: 1000 });
  });

  /** The messages of google-gax are classes; its calls take plain objects as well. */
  const request = <T extends object>(fields: object): T =>
    Object.assign(Object.create(null), fields);
  const start = async () => (await operations.create(Print, { parent })).name;

  it("gets, lists, cancels and deletes", async () => {
    const names = [await start(), await start(), await start()];
    const [name = ""] = names;
    const [got] = await google.client.getOperation(request({ name }));
    assert.equal(got.name, name);
    const listed: unknown[] = [];
    for await (const one of google.client.listOperationsAsync(
      request({ name: parent, pageSize: 1 }),
    )) {
      listed.push(one.name);
    }
    assert.deepEqual(listed.toSorted(), names.toSorted());
    const value = "p".repeat(3960);
    const filter = `done=false AND NOT name="${value}"`;
    let found = 0;
    for await (const _ of google.client.listOperationsAsync(request({ name: parent, filter }))) {
      found += 1;
    }
    assert.equal(found, names.length);
    await google.client.cancelOperation(request({ name }));
    await operations.fail(name, new ConnectError("stopped", Code.Canceled));
    const [cancelled] = await google.client.getOperation(request({ name }));
    assert.equal(cancelled.error?.code, 1);
    await google.client.deleteOperation(request({ name }));
    const error = await google.client.getOperation(request({ name })).then(
      () => undefined,
      (rejected: unknown) => rejected,
    );
    // Its HTTP client rejects before google-gax reads the body; the body is one that it can read.
    assert.ok(error instanceof Error && "status" in error);
    assert.equal(error.status, 404);
    const read = gax.GoogleError.parseHttpError(JSON.parse(error.message));
    assert.equal(read.code, Code.NotFound);
    assert.equal(read.reason, "OPERATION_NOT_FOUND");
    assert.equal(read.domain, "connect-longrunning");
  });

  it("follows an operation to its result with LROperation", async () => {
    const name = await start();
    await operations.report(Print, name, { pagesPrinted: 1 });
    const [first] = await google.client.getOperation(request({ name }));
    const settings = gax.createDefaultBackoffSettings();
    const followed = gax.operation(first, google.descriptor, {
      ...settings,
      initialRetryDelayMillis: 5,
      maxRetryDelayMillis: 5,
    });
    const promise = followed.promise();
    await operations.succeed(Print, name, { pages: 7 });
    const answered = await promise;
    assert.ok(Array.isArray(answered));
    assert.deepEqual({ ...answered[0] }, { pages: 7 });
  });
});
