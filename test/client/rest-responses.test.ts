import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createRegistry } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterEach, assert, describe, expect, it } from "vitest";
import { createOperationsClient, OperationError } from "../../src/index.js";
import { createRestTransport, operationsHttpRules } from "../../src/rest/index.js";
import { PrintMetadataSchema, PrintResponseSchema } from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const name = "operations/1";
const metadata = { "@type": "type.googleapis.com/printing.v1.PrintMetadata", pagesPrinted: 2 };
const response = { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 3 };
const poll = { initialDelayMs: 1, maxDelayMs: 1 };

/** A response of the server: JSON with HTTP 200, or a status with a body. */
type Answer = object | { status: number; body: unknown };

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A client of a REST server that gives these responses to GetOperation, the last one again and again. */
async function clientOf(answers: readonly Answer[]) {
  const left = [...answers];
  let gets = 0;
  const server = createServer((request, reply) => {
    if (request.method !== "GET") {
      reply.writeHead(501).end();
      return;
    }
    gets += 1;
    const answer = left.length > 1 ? left.shift() : left[0];
    const { status, body } =
      answer !== undefined && "status" in answer && "body" in answer
        ? answer
        : { status: 200, body: answer };
    reply.writeHead(Number(status), { "content-type": "application/json" });
    reply.end(typeof body === "string" ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const transport = createRestTransport({
    baseUrl: `http://127.0.0.1:${port}`,
    rules: operationsHttpRules(),
    registry: createRegistry(PrintMetadataSchema, PrintResponseSchema),
    readMaxBytes: 10_000,
  });
  return { client: createOperationsClient(transport, { poll }), gets: () => gets };
}

async function operationErrorOf(call: Promise<unknown>): Promise<OperationError> {
  const error = await rejectionOf(call);
  assert(error instanceof OperationError);
  return error;
}

describe("an Operation over REST with an unreadable part", () => {
  it.each<[string, object]>([
    ["metadata without @type", { pagesPrinted: 2 }],
    ["metadata with a field of the wrong kind", { ...metadata, pagesPrinted: "two" }],
    ["metadata with an @type that is not a string", { "@type": 7 }],
    ["metadata of an unknown type", { "@type": "x/elsewhere.v1.Thing", a: 1 }],
  ])("%s leaves the response readable, with a metadataError", async (_, unreadable) => {
    const { client } = await clientOf([{ name, done: true, metadata: unreadable, response }]);
    const handle = await client.resume(Print, name);
    expect(handle.snapshot).toMatchObject({
      kind: "succeeded",
      response: { pages: 3 },
      metadata: undefined,
      metadataError: { code: Code.Internal },
    });
  });

  it("metadata that is a string leaves the response readable, with a metadataError", async () => {
    const { client } = await clientOf([{ name, done: true, metadata: "half", response }]);
    const { snapshot } = await client.resume(Print, name);
    expect(snapshot).toMatchObject({ kind: "succeeded", metadataError: { code: Code.Internal } });
  });

  it.each<[string, unknown]>([
    ["a string", "see the log"],
    ["a list with a string", ["see the log"]],
    ["a list with an object without @type", [{ reason: "R" }]],
    ["an object", { reason: "R" }],
  ])("error.details that is %s leaves the code and the message", async (_, details) => {
    const error = { code: 9, message: "no paper", details };
    const { client } = await clientOf([{ name, done: true, error }]);
    const handle = await client.resume(Print, name);
    expect(await operationErrorOf(handle.result())).toMatchObject({
      kind: "failed",
      code: Code.FailedPrecondition,
      rawMessage: "no paper",
    });
  });

  it("a response with a field of the wrong kind is not the declared type", async () => {
    const { client } = await clientOf([
      { name, done: true, metadata, response: { ...response, pages: "three" } },
    ]);
    const handle = await client.resume(Print, name);
    expect(handle.snapshot).toMatchObject({ kind: "malformed", metadata: { pagesPrinted: 2 } });
  });
});

describe("errors over REST", () => {
  it.each<[string, number, unknown, Code, string]>([
    [
      "a bare Status",
      404,
      { code: 5, message: "not there", details: [] },
      Code.NotFound,
      "not there",
    ],
    [
      "a bare Status under another HTTP status",
      500,
      { code: 3, message: "bad" },
      Code.InvalidArgument,
      "bad",
    ],
    [
      "a bare Status beside an error string",
      404,
      { error: "m", code: 5, message: "m" },
      Code.NotFound,
      "m",
    ],
    [
      "an envelope in a 200",
      200,
      { error: { code: 403, message: "no", status: "PERMISSION_DENIED" } },
      Code.PermissionDenied,
      "no",
    ],
    [
      "an envelope in a 200 without a status name",
      200,
      { error: { code: 403, message: "no" } },
      Code.PermissionDenied,
      "no",
    ],
    ["a bare Status in a 200", 200, { code: 7, message: "no" }, Code.PermissionDenied, "no"],
    ["HTTP 408 without a body", 408, "", Code.Unavailable, "HTTP 408"],
    ["HTTP 421 without a body", 421, "", Code.Unavailable, "HTTP 421"],
    ["HTTP 425 with a page", 425, "<html>", Code.Unavailable, "HTTP 425"],
  ])("reads %s", async (_, status, body, code, message) => {
    const { client } = await clientOf([{ status, body }]);
    const error = await rejectionOf(client.get(name));
    expect([error.code, error.rawMessage]).toEqual([code, message]);
  });

  it("does not take a failed operation for an error of the call", async () => {
    const { client } = await clientOf([{ name, done: true, error: { code: 5, message: "m" } }]);
    expect(await client.get(name)).toMatchObject({ done: true, result: { case: "error" } });
  });

  it.each([408, 425, 421, 404, 502])(
    "tolerates one stray HTTP %i page in a wait",
    async (status) => {
      const { client, gets } = await clientOf([
        { name },
        { status, body: "<html>" },
        { name, done: true, response },
      ]);
      const handle = await client.resume(Print, name);
      expect(await handle.result()).toMatchObject({ pages: 3 });
      expect(gets()).toBe(3);
    },
  );

  it("ends a wait at once if a response is larger than the client's limit", async () => {
    const large = { ...response, pages: 3, x: "x".repeat(20_000) };
    const { client, gets } = await clientOf([{ name }, { name, done: true, response: large }]);
    const handle = await client.resume(Print, name);
    const error = await operationErrorOf(handle.result());
    expect(error).toMatchObject({ kind: "poll", code: Code.ResourceExhausted });
    expect(error.rawMessage).toContain("readMaxBytes");
    expect(gets()).toBe(2);
  });

  it("fills in the name that a server leaves out of its responses", async () => {
    const { client } = await clientOf([{ metadata }, { done: true, response }]);
    const handle = await client.resume(Print, name);
    expect(handle.name).toBe(name);
    expect(await handle.result()).toMatchObject({ pages: 3 });
    expect(handle.snapshot.operation.name).toBe(name);
  });
});
