import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createLongRunningClient, createOperationsClient } from "../../src/index.js";
import {
  type ListOperationsRequest,
  type ListOperationsResponse,
  ListOperationsResponseSchema,
} from "../../src/protos.js";
import { anOperation } from "../support/an-operation.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { operationsTransport } from "../support/scripted-operations.js";

/** A server that gives these pages one after the other, under the tokens 1, 2, … */
function pagingServer(...pages: { names?: string[]; unreachable?: string[] }[]) {
  const requests: ListOperationsRequest[] = [];
  const client = createOperationsClient(
    operationsTransport({
      listOperations(request) {
        requests.push(request);
        const at = Number(request.pageToken || 0);
        const { names = [], unreachable = [] } = pages[at] ?? {};
        return create(ListOperationsResponseSchema, {
          operations: names.map((name) => anOperation({ name })),
          nextPageToken: at + 1 < pages.length ? String(at + 1) : "",
          unreachable,
        });
      },
    }),
  );
  return { client, requests };
}

async function toArray<T>(items: AsyncIterable<T>): Promise<T[]> {
  const array: T[] = [];
  for await (const item of items) array.push(item);
  return array;
}

describe("list", () => {
  it("client 24: goes on over empty pages to the empty token, asking the same each time", async () => {
    const empty = Array.from({ length: 12 }, () => ({}));
    const { client, requests } = pagingServer(...empty, { names: ["operations/1"] });
    const request = { name: "projects/p", filter: "done = true", pageSize: 5 };
    const names = (await toArray(client.list(request))).map(({ name }) => name);
    expect(names).toEqual(["operations/1"]);
    expect(requests.map(({ pageToken }) => pageToken)).toEqual([
      "",
      ...Array.from({ length: 12 }, (_, at) => String(at + 1)),
    ]);
    for (const sent of requests) expect(sent).toMatchObject(request);
  });

  it("asks for no page before it is needed, and for none after a break", async () => {
    const { client, requests } = pagingServer({ names: ["operations/1"] }, {});
    const list = client.list();
    expect(requests).toHaveLength(0);
    for await (const operation of list) {
      expect(operation.name).toBe("operations/1");
      break;
    }
    expect(requests).toHaveLength(1);
  });

  it("client 24: shows the pages as they are, with what was unreachable", async () => {
    const { client } = pagingServer({ unreachable: ["projects/p/locations/x"] }, {});
    const pages: ListOperationsResponse[] = await toArray(client.list().pages());
    expect(pages.map(({ unreachable }) => unreachable)).toEqual([["projects/p/locations/x"], []]);
  });

  it("client 24: starts from any page token", async () => {
    const { client, requests } = pagingServer({}, {}, { names: ["operations/3"] });
    expect(await toArray(client.list({ pageToken: "2" }))).toHaveLength(1);
    expect(requests).toHaveLength(1);
  });
});

describe("calls", () => {
  it("client 7: carry the routing header of their own name, and not the start's headers", async () => {
    const { printer, operations } = createPrintServer(() => new Promise(() => undefined));
    expect(printer).toBeDefined();
    const seen: [string, string | null, string | null][] = [];
    const note = (method: string, context: HandlerContext) => {
      const { requestHeader } = context;
      seen.push([
        method,
        requestHeader.get("x-goog-request-params"),
        requestHeader.get("x-start-only"),
      ]);
    };
    const transport = operationsTransport({
      getOperation: (request, context) => {
        note("get", context);
        return operations.service.getOperation(request, context);
      },
      cancelOperation: (request, context) => {
        note("cancel", context);
        return operations.service.cancelOperation(request, context);
      },
      deleteOperation: (request, context) => {
        note("delete", context);
        return operations.service.deleteOperation(request, context);
      },
      waitOperation: (request, context) => {
        note("wait", context);
        return operations.service.waitOperation(request, context);
      },
    });
    const { name } = await operations.create(Print, {}, { parent: "printers/a&b" });
    const client = createOperationsClient(transport);
    await client.get(name, { headers: { "x-start-only": "1" } });
    await client.wait(name, 0);
    await client.cancel(name);
    await client.delete(name);
    const routed = `name=${encodeURIComponent(name)}`;
    expect(seen).toEqual([
      ["get", routed, "1"],
      ["wait", routed, null],
      ["cancel", routed, null],
      ["delete", routed, null],
    ]);
  });

  it("pass on a server's UNIMPLEMENTED", async () => {
    const client = createOperationsClient(operationsTransport({}));
    expect((await rejectionOf(client.cancel("operations/1"))).code).toBe(Code.Unimplemented);
  });
});

describe("createLongRunningClient", () => {
  it("rejects with what the start call rejects with", async () => {
    const { printer } = createPrintServer(() => ({}), {
      method: {
        validate: () => {
          throw new ConnectError("closed on Sundays", Code.FailedPrecondition);
        },
      },
    });
    expect(await rejectionOf(printer.print({}))).toMatchObject({
      code: Code.FailedPrecondition,
      rawMessage: "closed on Sundays",
    });
  });

  it("sends the start's options, and shows its headers and trailers", async () => {
    const headers: string[] = [];
    const { transport } = createPrintServer(() => ({}), {
      method: {
        validate(_, context) {
          headers.push(context.requestHeader.get("x-start-only") ?? "");
          context.responseHeader.set("x-answer", "42");
        },
      },
    });
    const client = createLongRunningClient({ print: Print }, transport);
    await client.print(
      {},
      {
        headers: { "x-start-only": "1" },
        onHeader: (header) => headers.push(header.get("x-answer") ?? ""),
      },
    );
    expect(headers).toEqual(["1", "42"]);
  });
});
