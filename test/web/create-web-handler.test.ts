import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import {
  Code,
  ConnectError,
  createClient,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { describe, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus } from "../../src/protos.js";
import { createRestHandler } from "../../src/rest/index.js";
import {
  createWebHandler,
  type HandlerFailure,
  type WebHandler,
  type WebHandlerOptions,
} from "../../src/web/index.js";
import { LibraryService } from "../gen/library/v1/library_pb.js";

const baseUrl = "http://library.example";

function webHandler(options: Partial<WebHandlerOptions> = {}): WebHandler {
  return createWebHandler({
    routes: (router) =>
      router.service(LibraryService, {
        getById: (book) => book,
        updateAll: (book) => book,
        async *watch(book, { responseHeader }) {
          responseHeader.set("x-shelf", "7");
          yield book;
          yield book;
        },
      }),
    handlers: (router) => [createRestHandler(router)],
    ...options,
  });
}

const fetchOf =
  (web: WebHandler): typeof fetch =>
  (input, init) =>
    web.fetch(new Request(input, init));

describe.each([
  ["Connect", createConnectTransport],
  ["gRPC-Web", createGrpcWebTransport],
])("createWebHandler over %s", (_, createTransport) => {
  const transport = createTransport({ baseUrl, fetch: fetchOf(webHandler()) });

  it("answers a unary call", async () => {
    const client = createClient(LibraryService, transport);
    assert.equal((await client.updateAll({ id: "i", pageCount: 3 })).pageCount, 3);
  });

  it("streams, with the headers that the implementation set", async () => {
    let shelf: string | null = null;
    const client = createClient(LibraryService, transport);
    const ids: string[] = [];
    const onHeader = (headers: Headers) => {
      shelf = headers.get("x-shelf");
    };
    for await (const { id } of client.watch({ id: "i" }, { onHeader })) ids.push(id);
    assert.deepEqual([shelf, ids], ["7", ["i", "i"]]);
  });

  it("serves health", async () => {
    const { status } = await createClient(Health, transport).check({});
    assert.equal(status, HealthCheckResponse_ServingStatus.SERVING);
  });
});

describe("createWebHandler", () => {
  it("answers by its handlers, with and without a body", async () => {
    const { fetch } = webHandler();
    const got = await fetch(new Request(`${baseUrl}/v1/byId/i?pageCount=2`));
    assert.deepEqual(await got.json(), { id: "i", pageCount: 2 });
    const put = await fetch(
      new Request(`${baseUrl}/v1/byId/i`, {
        method: "PUT",
        headers: { "content-type": "application/json", "content-encoding": "gzip" },
        body: gzipSync('{"lent":true}'),
      }),
    );
    assert.deepEqual(await put.json(), { id: "i", lent: true });
  });

  it("tells a gRPC client that it has no trailers", async () => {
    const { fetch } = webHandler();
    const headers = { "content-type": "application/grpc+proto" };
    const path = `${baseUrl}/${LibraryService.typeName}/GetById`;
    const response = await fetch(new Request(path, { method: "POST", headers }));
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("grpc-status"), String(Code.Unimplemented));
    assert.match(decodeURIComponent(response.headers.get("grpc-message") ?? ""), /use gRPC-Web/);
  });

  it("answers 404 for other paths, or hands them to the fallback", async () => {
    const request = () => new Request(`${baseUrl}/elsewhere`);
    assert.equal((await webHandler().fetch(request())).status, 404);
    const fallback = ({ url }: Request) => new Response(url, { status: 418 });
    const response = await webHandler({ fallback }).fetch(request());
    assert.deepEqual([response.status, await response.text()], [418, `${baseUrl}/elsewhere`]);
  });

  it("never rejects: logs a handler's error, and answers with a ConnectError", async () => {
    const cause = new Error("the secret of the database");
    const events: HandlerFailure[] = [];
    const throwing = (error: unknown) =>
      webHandler({
        handlers: () => [() => Promise.reject(error)],
        log: (event) => void events.push(event),
      }).fetch(new Request(`${baseUrl}/x`));
    const hidden = await throwing(cause);
    assert.equal(hidden.status, 500);
    assert.doesNotMatch(await hidden.text(), /secret/);
    assert.deepEqual(events, [{ kind: "handler-failed", path: "/x", cause }]);
    assert.equal((await throwing(new ConnectError("lost", Code.Aborted))).status, 409);
    assert.equal(events.length, 1);
  });

  it("gives the platform's arguments to `contextValues`", async () => {
    const key = createContextKey("");
    const { fetch } = webHandler({
      routes: (router) =>
        router.service(LibraryService, {
          getById: (_, { values }) => ({ id: values.get(key) }),
        }),
      contextValues: (_, env) => createContextValues().set(key, String(Object(env).REGION)),
    });
    const request = new Request(`${baseUrl}/v1/byId/i`);
    assert.deepEqual(await (await fetch(request, { REGION: "eu" })).json(), { id: "eu" });
  });

  it("grants by CORS what the options say, and answers a preflight", async () => {
    const { fetch } = webHandler({ cors: { origins: ["https://a.example"] } });
    const headers = { origin: "https://a.example", "access-control-request-method": "POST" };
    const preflight = await fetch(new Request(`${baseUrl}/x`, { method: "OPTIONS", headers }));
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "https://a.example");
    const got = await fetch(
      new Request(`${baseUrl}/v1/byId/i`, { headers: { origin: "https://a.example" } }),
    );
    assert.equal(got.headers.get("access-control-allow-origin"), "https://a.example");
    assert.equal(got.headers.get("vary"), "Accept-Encoding, origin");
    const other = { headers: { origin: "https://b.example" } };
    const refused = await fetch(new Request(`${baseUrl}/v1/byId/i`, other));
    assert.equal(refused.headers.get("access-control-allow-origin"), null);
  });
});
