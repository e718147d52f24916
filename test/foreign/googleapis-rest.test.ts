import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { describe, it } from "vitest";
import { Operations } from "../../src/protos.js";
import { operationsHttpRules } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { startRestServer } from "../rest/support/rest-server.js";
import { Print } from "../support/print-server.js";
import { isInstalled } from "./is-installed.js";

/** The `googleapis` of the project beside this file; undefined if it is not installed. */
const googleapis = (() => {
  try {
    return createRequire(new URL("googleapis/package.json", import.meta.url))("googleapis");
  } catch {
    return undefined;
  }
})();
const remedy = "no googleapis; npm install --prefix test/foreign/googleapis";

describe.runIf(isInstalled(googleapis, remedy))("npm googleapis", () => {
  it("server 83: calls all methods of apim v1alpha's operations, as Google published them", async () => {
    const parent = "projects/p/locations/l";
    const operations = createOperations();
    operations.handle(Print, async () => ({ pages: 0 }));
    const server = await startRestServer(
      (router) => {
        router.service(Operations, operations.service);
        router.service(PrintService, {});
      },
      { rules: operationsHttpRules({ version: "v1alpha", parent: "projects/*/locations/*" }) },
    );
    const apim = googleapis.google.apim({ version: "v1alpha", rootUrl: `${server.baseUrl}/` });
    const resource = apim.projects.locations.operations;
    const create = async () => (await operations.create(Print, { parent })).name;
    const [name, other, last] = [await create(), await create(), await create()];
    await operations.succeed(Print, last, { pages: 7 });

    const got = await resource.get({ name: last });
    const response = { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 7 };
    assert.deepEqual({ ...got.data }, { name: last, done: true, response });

    const first = await resource.list({ name: parent, pageSize: 2 });
    const { nextPageToken } = first.data;
    const second = await resource.list({ name: parent, pageSize: 2, pageToken: nextPageToken });
    const listed = [...first.data.operations, ...second.data.operations];
    assert.deepEqual(
      listed.map((one: { name: string }) => one.name).sort(),
      [name, other, last].sort(),
    );
    const done = await resource.list({ name: parent, filter: "done=true" });
    assert.equal(done.data.operations.length, 1);
    const filter = `done=true AND NOT name="${"p".repeat(3970)}"`;
    const long = await resource.list({ name: parent, filter });
    assert.deepEqual(long.data.operations, done.data.operations);

    assert.deepEqual({ ...(await resource.cancel({ name, requestBody: {} })).data }, {});
    assert.deepEqual({ ...(await resource.delete({ name })).data }, {});
    const gone = await resource.get({ name, "$.xgafv": "1" }).then(
      () => undefined,
      (error: { response: { status: number; data: unknown } }) => error.response,
    );
    assert.equal(gone?.status, 404);
    const message = `operation "${name}" does not exist`;
    const errors = [{ message, domain: "global", reason: "notFound" }];
    assert.deepEqual(Object(gone.data).error.errors, errors);
    await server.close();
    await operations.shutdown({ graceMs: 1000 });
  }, 60_000);
});
