import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createLongRunningClient, createOperationsClient } from "../../src/index.js";
import {
  type ListOperationsRequest,
  type ListOperationsResponse,
  ListOperationsResponseSchema,
  type Operation,
} from "../../src/protos.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { anOperation } from "../support/an-operation.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { operationsTransport } from "../support/scripted-operations.js";

/** A server that gives these pages one after the other, under the tokens 1, 2, … */
function pagingServer(...pages: { names?: string[]; unreachable?: string[] }[]) {
  const requests: ListOperationsRequest[] = [];
  const failures = new Map<string, ConnectError>();
  const client = createOperationsClient(
    operationsTransport({
      listOperations(request) {
        requests.push(request);
        const failure = failures.get(request.pageToken);
        failures.delete(request.pageToken);
        if (failure !== undefined) throw failure;
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
  /** The first time that the page is asked for. */
  const failAt = (pageToken: string, error: ConnectError) => failures.set(pageToken, error);
  return { client, requests, failAt };
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

  it("client 24: gives the pages as they are, the empty ones too", async () => {
    const empty = Array.from({ length: 12 }, () => ({}));
    const { client } = pagingServer(...empty, { names: ["operations/1"] });
    const pages: ListOperationsResponse[] = await toArray(client.list().pages());
    expect(pages.map(({ operations }) => operations.length)).toEqual([...Array(12).fill(0), 1]);
  });

  it("client 24: shows with each page what was unreachable", async () => {
    const { client, requests } = pagingServer({ unreachable: ["projects/p/locations/x"] }, {});
    const pages: ListOperationsResponse[] = await toArray(
      client.list({ returnPartialSuccess: true }).pages(),
    );
    expect(pages.map(({ unreachable }) => unreachable)).toEqual([["projects/p/locations/x"], []]);
    expect(requests.map(({ returnPartialSuccess }) => returnPartialSuccess)).toEqual([true, true]);
  });

  it("client 24: starts from any page token", async () => {
    const { client, requests } = pagingServer({}, {}, { names: ["operations/3"] });
    expect(await toArray(client.list({ pageToken: "2" }))).toHaveLength(1);
    expect(requests).toHaveLength(1);
  });

  it("client 24: a page that failed is where the next list goes on", async () => {
    const pages = Array.from({ length: 9 }, (_, at) => ({ names: [`operations/${at + 1}`] }));
    const { client, requests, failAt } = pagingServer(...pages);
    failAt("6", new ConnectError("away", Code.Unavailable));
    const request = { name: "projects/p", filter: "done = true", pageSize: 1 };
    const list = client.list(request);
    const names: string[] = [];
    const walk = async (operations: AsyncIterable<Operation>) => {
      for await (const { name } of operations) names.push(name);
    };
    expect((await rejectionOf(walk(list))).code).toBe(Code.Unavailable);
    expect(list.pageToken).toBe("6");
    const rest = client.list({ ...request, pageToken: list.pageToken });
    await walk(rest);
    expect(names).toEqual(pages.flatMap((page) => page.names));
    expect(requests.map(({ pageToken }) => pageToken).slice(6, 8)).toEqual(["6", "6"]);
    for (const sent of requests) expect(sent).toMatchObject(request);
    expect(rest.pageToken).toBeUndefined();
  });

  it("has the token of a page until the iteration has left the page", async () => {
    const { client } = pagingServer({ names: ["operations/1", "operations/2"] }, {}, {});
    const list = client.list({ pageSize: 2 });
    expect(list.pageToken).toBe("");
    for await (const { name } of list) if (name === "operations/2") break;
    expect(list.pageToken).toBe("");
    const pages = list.pages()[Symbol.asyncIterator]();
    await pages.next();
    await pages.next();
    expect(list.pageToken).toBe("1");
    await pages.next();
    expect((await pages.next()).done).toBe(true);
    expect(list.pageToken).toBeUndefined();
    // Walking it again begins anew.
    expect(await toArray(list)).toHaveLength(2);
  });

  it("asks for all pages alike, whatever becomes of the request in the meantime", async () => {
    const { client, requests } = pagingServer({}, {});
    const request = { filter: "done = true", pageSize: 5 };
    for await (const _ of client.list(request).pages()) Object.assign(request, { pageSize: 7 });
    expect(requests.map(({ pageSize }) => pageSize)).toEqual([5, 5]);
  });

  it.each([
    ["the same token again", { "": "a", a: "a" }, 2],
    ["tokens in a circle", { "": "a", a: "b", b: "c", c: "a" }, 4],
  ])("ends with INTERNAL for %s", async (_, next: Record<string, string>, pages) => {
    let asked = 0;
    const client = createOperationsClient(
      operationsTransport({
        listOperations({ pageToken }) {
          asked += 1;
          return create(ListOperationsResponseSchema, { nextPageToken: next[pageToken] ?? "" });
        },
      }),
    );
    const error = await rejectionOf(toArray(client.list()));
    expect(error.code).toBe(Code.Internal);
    expect(standardDetailsOf(error).errorInfo).toMatchObject({
      reason: "REPEATED_PAGE_TOKEN",
      metadata: { pageToken: "a" },
    });
    expect(asked).toBe(pages);
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
  it("rejects with the error of the start call", async () => {
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
