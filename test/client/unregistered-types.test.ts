import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import { withTypeErrors } from "../../src/client/unreadable-responses.js";
import {
  createLongRunningClient,
  createOperationsClient,
  createTypeRegistry,
  longRunning,
  OperationError,
  type PollPolicy,
} from "../../src/index.js";
import { createServer, type Server } from "../../src/node/index.js";
import { ErrorInfoSchema, OperationSchema, Operations } from "../../src/protos.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { KindsService } from "../gen/kinds/v1/kinds_pb.js";
import {
  PrintMetadataSchema,
  PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";
import { rejectionOf } from "../support/rejection.js";

const Print = longRunning(PrintService.method.print, {
  response: PrintResponseSchema,
  metadata: PrintMetadataSchema,
});
const metadata = anyPack(PrintMetadataSchema, create(PrintMetadataSchema, { pagesPrinted: 1 }));
const typeUrl = metadata.typeUrl;
const name = "operations/1";
const operation = create(OperationSchema, { name, metadata });

/** Takes every failure for one that may pass. */
const stubborn: PollPolicy = { delayMs: () => 1, isTransient: () => true };

let server: Server;
let url: string;
const calls: string[] = [];
const counting: Interceptor = (next) => (call) => {
  calls.push(call.method.name);
  return next(call);
};
beforeAll(async () => {
  server = createServer({
    routes(router) {
      router.service(PrintService, { print: () => operation });
      router.service(Operations, {
        getOperation: () => operation,
        waitOperation: () => operation,
        listOperations: () => ({ operations: [operation] }),
      });
    },
  });
  ({ url } = await server.listen());
});
beforeEach(() => void calls.splice(0));
afterAll(() => server.close({ graceMs: 0 }));

/** Connect-Web's default transport, which has no registry. */
const transportOf = () => createConnectTransport({ baseUrl: url, interceptors: [counting] });

async function assertNamesType(call: Promise<unknown>): Promise<unknown> {
  const error = await rejectionOf(call);
  assert.equal(error.code, Code.FailedPrecondition);
  assert.ok(error.rawMessage.includes(`"${typeUrl}"`), error.rawMessage);
  const info = standardDetailsOf(error).errorInfo;
  assert.deepEqual(
    [info?.reason, info?.metadata, error.findDetails(ErrorInfoSchema).length],
    ["UNREGISTERED_TYPE", { typeUrl }, 1],
  );
  return error;
}

describe("a client in JSON whose transport lacks the type of a payload", () => {
  it("names the type for each method, by one call", async () => {
    const client = createOperationsClient(transportOf());
    await assertNamesType(client.get(name));
    await assertNamesType(client.wait(name));
    await assertNamesType(client.list().pages()[Symbol.asyncIterator]().next());
    await assertNamesType(client.resume(Print, name));
    assert.deepEqual(calls, ["GetOperation", "WaitOperation", "ListOperations", "GetOperation"]);
  });

  it("names the type for a start, which it does not repeat", async () => {
    const client = createLongRunningClient({ print: Print }, transportOf());
    await assertNamesType(client.print({ pages: 1 }));
    assert.deepEqual(calls, ["Print"]);
  });

  it("passes on the error of a request that the transport cannot encode", async () => {
    const client = createClient(KindsService, withTypeErrors(transportOf()));
    const error = await rejectionOf(client.query({ any: metadata }));
    assert.ok(error.rawMessage.includes("cannot encode"), error.rawMessage);
    assert.equal(standardDetailsOf(error).errorInfo, undefined);
  });

  it.each([
    ["by WaitOperation", {}, ["GetOperation", "WaitOperation"]],
    ["by GetOperation", { mode: "poll" }, ["GetOperation", "GetOperation"]],
  ] as const)("ends a wait %s at its first poll, whatever its policy", async (_, how, polls) => {
    let registry = createTypeRegistry([PrintService]);
    const transport = createConnectTransport({
      baseUrl: url,
      interceptors: [counting],
      jsonOptions: { registry: { ...registry, getMessage: (type) => registry.getMessage(type) } },
    });
    const client = createOperationsClient(transport, { poll: stubborn, ...how });
    const handle = await client.resume(Print, name);
    registry = createTypeRegistry([]);
    const error = await assertNamesType(handle.result());
    assert.ok(error instanceof OperationError && error.kind === "poll");
    assert.deepEqual(calls, polls);
  });
});
