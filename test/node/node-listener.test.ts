import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import express from "express";
import { afterEach, describe, it } from "vitest";
import { createNodeListener } from "../../src/node/index.js";
import { createRestHandler } from "../../src/rest/index.js";
import { createWebHandler, type Handler, type HandlerFailure } from "../../src/web/index.js";
import { LibraryService } from "../gen/library/v1/library_pb.js";

let server: Server | Http2Server | undefined;

afterEach(async () => {
  if (server === undefined) return;
  server.close();
  if ("closeAllConnections" in server) server.closeAllConnections();
  await once(server, "close");
  server = undefined;
});

async function serve(listener: RequestListener): Promise<string> {
  return listen(createServer(listener));
}

async function listen(made: Server | Http2Server): Promise<string> {
  server = made;
  made.listen(0, "127.0.0.1");
  await once(made, "listening");
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}`;
}

const library = createWebHandler({
  routes: (router) => router.service(LibraryService, { updateAll: (book) => book }),
  handlers: (router) => [createRestHandler(router)],
});
const listener = createNodeListener(library.handler);

const put = (url: string, body: BodyInit, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/byId/i?prettyPrint=0`, {
    method: "PUT",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
const updateAll = (url: string, body: string) =>
  fetch(`${url}/${LibraryService.typeName}/UpdateAll`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });

describe("createNodeListener behind a body parser", () => {
  it("reads the JSON that express.json() has parsed, over REST and Connect", async () => {
    const url = await serve(express().use(express.json()).use(listener));
    assert.equal(await (await put(url, '{"lent":true}')).text(), '{"id":"i","lent":true}');
    const called = await updateAll(url, '{"id":"i","lent":true}');
    assert.deepEqual(await called.json(), { id: "i", lent: true });
  });

  it("reads what express.json() has decompressed", async () => {
    const url = await serve(express().use(express.json()).use(listener));
    const response = await put(url, gzipSync('{"lent":true}'), { "content-encoding": "gzip" });
    assert.equal(await response.text(), '{"id":"i","lent":true}');
  });

  it.each([
    ["express.raw()", express.raw({ type: () => true })],
    ["express.text()", express.text({ type: () => true })],
  ])("reads the bytes or the text that %s has left, with every digit", async (_, parser) => {
    const url = await serve(express().use(parser).use(listener));
    const response = await put(url, '{"pageCount":2,"lent":true,"id":"i"}');
    assert.deepEqual(await response.json(), { id: "i", lent: true, pageCount: 2 });
  });

  it("reads a body of another type that the parser has left alone", async () => {
    const url = await serve(
      express()
        .use(express.json({ type: "text/x" }))
        .use(listener),
    );
    assert.equal(await (await put(url, '{"lent":true}')).text(), '{"id":"i","lent":true}');
  });

  it.each(["9007199254740993", "1e400", "-0", "1e25"])(
    "refuses parsed JSON whose number %s may have lost digits",
    async (number) => {
      const url = await serve(express().use(express.json()).use(listener));
      const response = await put(url, `{"name":"n","tags":[${number}]}`);
      assert.equal(response.status, 500);
      const { error } = await response.json();
      assert.match(error.message, /cannot have kept all digits .* mount the handler before/);
      assert.equal(error.details[0].reason, "BODY_ALREADY_READ");
    },
  );

  it("refuses a body that was read and thrown away", async () => {
    const url = await serve((request, response) => {
      request.resume().once("end", () => listener(request, response));
    });
    const response = await put(url, '{"lent":true}');
    assert.equal(response.status, 500);
    assert.match(await response.text(), /left neither its bytes nor its JSON/);
  });
});

describe("createNodeListener", () => {
  it("hands a path that the handler does not serve to the next middleware", async () => {
    const app = express()
      .use(listener)
      .use((_, response) => void response.status(418).end());
    assert.equal((await fetch(`${await serve(app)}/elsewhere`)).status, 418);
  });

  it("answers such a path with 404 if there is no next middleware", async () => {
    const response = await fetch(`${await serve(listener)}/elsewhere`);
    assert.equal(response.status, 404);
    assert.match(await response.text(), /NOT_SERVED/);
  });

  it("serves gRPC with its trailers on a server of node:http2", async () => {
    const baseUrl = await listen(createHttp2Server(listener));
    const sessionManager = new Http2SessionManager(baseUrl);
    const transport = createGrpcTransport({ baseUrl, sessionManager });
    const client = createClient(LibraryService, transport);
    assert.equal((await client.updateAll({ id: "i", lent: true })).id, "i");
    sessionManager.abort();
  });

  it("logs the error of a handler, and shows the client INTERNAL", async () => {
    const cause = new Error("the secret of the database");
    const events: HandlerFailure[] = [];
    const failing: Handler = () => Promise.reject(cause);
    const log = (event: HandlerFailure) => void events.push(event);
    const response = await fetch(`${await serve(createNodeListener(failing, { log }))}/x`);
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /secret/);
    assert.deepEqual(events, [{ kind: "handler-failed", path: "/x", cause }]);
  });
});
