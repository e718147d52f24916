import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ServiceError, status } from "@grpc/grpc-js";
import { type OperationsClient, operationsProtos } from "google-gax";
import { afterEach, beforeEach, describe, it } from "vitest";
import { Operations } from "../../src/protos.js";
import { createOperations, type OperationsServer } from "../../src/server/index.js";
import { Print } from "../support/print-server.js";
import { type RunningServer, startServer } from "../support/servers.js";
import {
  createForeignOperations,
  type ForeignOperations,
  foreignStatusOf,
} from "./foreign-operations.js";
import { openGaxOperations, PrintMetadata, PrintResponse, pollWithGax } from "./gax-operations.js";
import { createHastyClock } from "./hasty-clock.js";
import { createWatchedSignals, type WatchedSignals } from "./watched-signals.js";

const parent = "printers/é";
const minute = { seconds: 60, nanos: 0 };

let signals: WatchedSignals;
let operations: OperationsServer;
let server: RunningServer;

beforeEach(() => {
  signals = createWatchedSignals();
  operations = createOperations({ signals });
});

afterEach(async () => {
  await server.close();
  await operations.shutdown();
});

/** The part that answers gRPC: `createServer`'s own lean path, or Connect's handlers. */
const answerers = [
  { by: "the fast path", fastPath: true },
  { by: "Connect's handlers", fastPath: false },
];

describe.each(answerers)("grpc-js with the protos of google-gax, by $by", ({ fastPath }) => {
  let client: ForeignOperations;

  beforeEach(async () => {
    server = await serve(operations, fastPath);
    client = createForeignOperations(server.port);
  });

  afterEach(() => client.close());

  it("gets a running operation with its metadata", async () => {
    const { name } = await operations.create(Print, { parent });
    await operations.report(Print, name, { pagesPrinted: 3 });
    assert.deepEqual(await client.get({ name }), {
      name,
      metadata: { type_url: "type.googleapis.com/printing.v1.PrintMetadata", value: bytes("0803") },
      done: false,
    });
  });

  it("gets the response of an operation that succeeded", async () => {
    const { name } = await operations.create(Print, { parent });
    await operations.succeed(Print, name, { pages: 300 });
    assert.deepEqual(await client.get({ name }), {
      name,
      metadata: null,
      done: true,
      result: "response",
      response: {
        type_url: "type.googleapis.com/printing.v1.PrintResponse",
        value: bytes("08ac02"),
      },
    });
  });

  it("gets the error of a failed operation, with a detail of an unregistered type", async () => {
    const { name } = await operations.create(Print, { parent });
    const error = new ConnectError("jammed – 紙詰まり", Code.Aborted);
    error.details = [{ type: "paper.v9.Jam", value: bytes("1a02fffe") }];
    await operations.fail(name, error);
    assert.deepEqual(await client.get({ name }), {
      name,
      metadata: null,
      done: true,
      result: "error",
      error: {
        code: status.ABORTED,
        message: "jammed – 紙詰まり",
        details: [{ type_url: "type.googleapis.com/paper.v9.Jam", value: bytes("1a02fffe") }],
      },
    });
  });

  it("lists page by page and by filter", async () => {
    const names: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      names.unshift((await operations.create(Print, { parent })).name);
    }
    const [newest = "", ...older] = names;
    await operations.succeed(Print, newest, {});
    const namesOf = async (request: Parameters<ForeignOperations["list"]>[0]) => {
      const { operations: found, next_page_token, unreachable } = await client.list(request);
      assert.deepEqual(unreachable, []);
      return { names: found.map(({ name }) => name), next_page_token };
    };

    const first = await namesOf({ name: parent, page_size: 2 });
    assert.deepEqual(first.names, names.slice(0, 2));
    const rest = { name: parent, page_size: 2, page_token: first.next_page_token };
    assert.deepEqual(await namesOf(rest), { names: names.slice(2), next_page_token: "" });
    const done = { name: parent, filter: "done = true" };
    assert.deepEqual(await namesOf(done), { names: [newest], next_page_token: "" });
    const running = { name: `${parent}/operations`, filter: "done = false" };
    assert.deepEqual(await namesOf(running), { names: older, next_page_token: "" });
  });

  it("waits until the operation is done", async () => {
    const { name } = await operations.create(Print, { parent });
    const waited = client.wait({ name, timeout: minute });
    await signals.subscribed(name, 1);
    await operations.succeed(Print, name, { pages: 3 });
    const { done, response } = await waited;
    assert.deepEqual({ done, value: response?.value }, { done: true, value: bytes("0803") });
  });

  it("is answered before its deadline when that is shorter than the timeout of its wait", async () => {
    const clock = createHastyClock();
    const hasty = createOperations({ clock });
    const hastyServer = await serve(hasty, fastPath);
    const hastyClient = createForeignOperations(hastyServer.port);
    try {
      const { name } = await hasty.create(Print, { parent });
      const { done } = await hastyClient.wait({ name, timeout: minute }, 20_000);
      assert.equal(done, false);
      const [delayMs = 0] = clock.delaysMs;
      assert.ok(delayMs > 15_000 && delayMs < 19_900, `held for ${delayMs} ms`);
    } finally {
      hastyClient.close();
      await hastyServer.close();
      await hasty.shutdown();
    }
  });

  it("cancels", async () => {
    const { name } = await operations.create(Print, { parent });
    assert.deepEqual(await client.cancel({ name }), {});
    const { cancelRequested } = await operations.report(Print, name, {});
    assert.equal(cancelRequested, true);
    await operations.fail(name, new ConnectError("stopped", Code.Canceled));
    const { done, error } = await client.get({ name });
    assert.deepEqual({ done, code: error?.code }, { done: true, code: 1 });
  });

  it("deletes, and reads NOT_FOUND with its details after that", async () => {
    const { name } = await operations.create(Print, { parent });
    assert.deepEqual(await client.delete({ name }), {});
    const error = await serviceErrorOf(client.get({ name }));
    assert.equal(error.code, status.NOT_FOUND);
    // Connect encodes each "/" of the message, as it may, and grpc-js does not decode it
    // (decodeURI instead of decodeURIComponent). The Status has the message as it is.
    assert.equal(decodeURIComponent(error.details), `operation "${name}" does not exist`);
    assert.deepEqual(foreignStatusOf(error), {
      code: status.NOT_FOUND,
      message: `operation "${name}" does not exist`,
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: "OPERATION_NOT_FOUND",
          domain: "connect-longrunning",
          metadata: { name },
        },
        {
          "@type": "type.googleapis.com/google.rpc.ResourceInfo",
          resource_type: "longrunning.googleapis.com/Operation",
          resource_name: name,
          owner: "",
          description: "",
        },
      ],
    });
  });

  it("reads which field of its request was refused", async () => {
    const error = await serviceErrorOf(client.list({ name: parent, page_size: -1 }));
    assert.equal(error.code, status.INVALID_ARGUMENT);
    const violation = {
      field: "page_size",
      description: 'page_size must not be negative, not "-1"',
      reason: "INVALID_FIELD",
      localized_message: null,
    };
    assert.deepEqual(foreignStatusOf(error), {
      code: status.INVALID_ARGUMENT,
      message: violation.description,
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: "INVALID_FIELD",
          domain: "connect-longrunning",
          metadata: { field: "page_size", value: "-1" },
        },
        {
          "@type": "type.googleapis.com/google.rpc.BadRequest",
          field_violations: [violation],
        },
      ],
    });
  });
});

describe.each(answerers)("the operations client of google-gax, by $by", ({ fastPath }) => {
  let client: OperationsClient;

  beforeEach(async () => {
    server = await serve(operations, fastPath);
    client = openGaxOperations(server.port);
  });

  afterEach(() => client.close());

  it("polls an operation to its typed result, progress first", async () => {
    const { name } = await operations.create(Print, { parent });
    const polled = await pollWithGax(client, name);
    await operations.report(Print, name, { pagesPrinted: 2 });
    const progress = new Promise<unknown>((resolve) => polled.once("progress", resolve));
    const result = polled.promise();
    assert.deepEqual(await progress, PrintMetadata.create({ pagesPrinted: 2 }));
    await operations.succeed(Print, name, { pages: 3 });
    const [response, metadata] = (await result) as unknown[];
    assert.deepEqual(response, PrintResponse.create({ pages: 3 }));
    assert.deepEqual(metadata, PrintMetadata.create({ pagesPrinted: 2 }));
  });

  it("rejects with the code of an operation that failed", async () => {
    const { name } = await operations.create(Print, { parent });
    const polled = await pollWithGax(client, name);
    await operations.fail(name, new ConnectError("no paper", Code.FailedPrecondition));
    await assert.rejects(polled.promise(), {
      code: status.FAILED_PRECONDITION,
      message: "no paper",
    });
  });

  it("walks all pages of a list", async () => {
    const names: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      names.unshift((await operations.create(Print, { parent })).name);
    }
    const { ListOperationsRequest } = operationsProtos.google.longrunning;
    const request = new ListOperationsRequest({ name: parent, pageSize: 2 });
    const found: unknown[] = [];
    for await (const { name } of client.listOperationsAsync(request, { autoPaginate: false }))
      found.push(name);
    assert.deepEqual(found, names);
  });
});

function serve({ service }: OperationsServer, fastPath: boolean): Promise<RunningServer> {
  return startServer({ routes: (router) => router.service(Operations, service), fastPath });
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}

async function serviceErrorOf(call: Promise<object>): Promise<ServiceError> {
  const answer = await call.catch((error: unknown) => error);
  if (answer instanceof Error && "metadata" in answer) return answer as ServiceError;
  throw new TypeError("the call did not fail", { cause: answer });
}
