import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Client, credentials } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { pack } from "../../src/index.js";
import { createServer } from "../../src/node/index.js";
import {
  ListOperationsRequestSchema,
  type ListOperationsResponse,
  ListOperationsResponseSchema,
  Operations,
} from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { anInsert } from "../support/an-insert.js";

/** List by the client that Node programs of other packages use, with its default limits. */
function listByGrpcJs(client: Client, pageToken: string): Promise<ListOperationsResponse> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      "/google.longrunning.Operations/ListOperations",
      (request: Uint8Array) => Buffer.from(request),
      (bytes: Buffer) => fromBinary(ListOperationsResponseSchema, bytes),
      toBinary(
        ListOperationsRequestSchema,
        create(ListOperationsRequestSchema, { name: "shelves/1", pageToken }),
      ),
      (error, response) => (response === undefined ? reject(error) : resolve(response)),
    );
  });
}

describe("a list of large operations", () => {
  it("server 35: comes in pages that a stock gRPC client takes", async () => {
    const store = createMemoryStore();
    const names: string[] = [];
    const large = pack(StringValueSchema, { value: "x".repeat(1_000_000) });
    const metadata = toBinary(AnySchema, large);
    for (let count = 0; count < 9; count += 1) {
      const operation = anInsert({ parent: "shelves/1", metadata });
      await store.insert(operation);
      names.unshift(operation.name);
    }
    const operations = createOperations({ store });
    const server = createServer({
      routes: (router) => router.service(Operations, operations.service),
    });
    onTestFinished(() => server.close());
    const { port } = await server.listen();
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    onTestFinished(() => client.close());
    const met: string[] = [];
    const sizes: number[] = [];
    let pageToken = "";
    do {
      const page = await listByGrpcJs(client, pageToken);
      met.push(...page.operations.map(({ name }) => name));
      sizes.push(page.operations.length);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(met).toEqual(names);
    expect(sizes).toEqual([3, 3, 3]);
  });

  it.each([0, 1.5, Number.NaN])("takes no page of %s bytes", (maxPageBytes) => {
    expect(() => createOperations({ maxPageBytes })).toThrow(/maxPageBytes/);
  });
});
