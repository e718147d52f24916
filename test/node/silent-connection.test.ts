import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Code, createClient } from "@connectrpc/connect";
import { afterEach, describe, expect, it } from "vitest";
import { createOperationsClient } from "../../src/index.js";
import { createGrpcTransport, createServer as createRpcServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createScriptedOperations } from "../../src/testing/index.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const name = "operations/1";
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server of one running operation behind a proxy that can go silent. */
async function startBehindProxy() {
  const scripted = createScriptedOperations();
  scripted.add(Print, { name });
  const server = await createRpcServer({
    routes: (router) => router.service(Operations, scripted.service),
  });
  const target = await server.listen({ port: 0, host: "127.0.0.1" });
  closers.push(() => server.close({ graceMs: 0 }));
  const sockets: Socket[] = [];
  const proxy = createServer((down) => {
    const up = connect(Number(new URL(target.url).port), "127.0.0.1");
    for (const [from, to] of [
      [down, up],
      [up, down],
    ] as const) {
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
      sockets.push(from);
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const address = proxy.address();
  if (address === null || typeof address === "string") throw new TypeError("no port");
  return {
    baseUrl: `http://127.0.0.1:${address.port}`,
    connections: () => sockets.length / 2,
    /** Drops all further bytes of the present connections. New ones are let through. */
    silence() {
      for (const socket of sockets) socket.unpipe();
      for (const socket of sockets) socket.resume();
    },
  };
}

describe("a connection that has died in silence", () => {
  it("is replaced after a call on it exceeded its deadline", async () => {
    const proxy = await startBehindProxy();
    const transport = createGrpcTransport({ baseUrl: proxy.baseUrl, pingTimeoutMs: 50 });
    const rpc = createClient(Operations, transport);
    await rpc.getOperation({ name });
    proxy.silence();
    const error = await rejectionOf(rpc.getOperation({ name }, { timeoutMs: 100 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
    // It is closed 50 ms later, and with it this call.
    const other = await rejectionOf(rpc.getOperation({ name }, { timeoutMs: 10_000 }));
    expect(other.code).toBe(Code.Unavailable);
    expect(await rpc.getOperation({ name }, { timeoutMs: 10_000 })).toMatchObject({ name });
    expect(proxy.connections()).toBe(2);
  });

  it("does not end a wait", async () => {
    const proxy = await startBehindProxy();
    const transport = createGrpcTransport({ baseUrl: proxy.baseUrl, pingTimeoutMs: 50 });
    const client = createOperationsClient(transport, {
      pollTimeoutMs: 100,
      maxWaitCallMs: 100,
      poll: { initialDelayMs: 10, maxDelayMs: 10 },
    });
    const handle = await client.resume(Print, name);
    const outcome = handle.outcome();
    proxy.silence();
    while (proxy.connections() < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await client.cancel(name);
    expect((await outcome).kind).toBe("cancelled");
  });

  it("is noticed by pings while a call without a deadline is open", async () => {
    const proxy = await startBehindProxy();
    const transport = createGrpcTransport({
      baseUrl: proxy.baseUrl,
      pingIntervalMs: 50,
      pingTimeoutMs: 50,
    });
    const rpc = createClient(Operations, transport);
    await rpc.getOperation({ name });
    const held = rejectionOf(rpc.waitOperation({ name }));
    proxy.silence();
    expect((await held).code).toBe(Code.Unavailable);
  });

  it("is kept if the server responds to the ping", async () => {
    const proxy = await startBehindProxy();
    const transport = createGrpcTransport({ baseUrl: proxy.baseUrl, pingTimeoutMs: 5000 });
    const rpc = createClient(Operations, transport);
    const error = await rejectionOf(rpc.waitOperation({ name }, { timeoutMs: 1 }));
    expect([Code.DeadlineExceeded, Code.Unavailable]).toContain(error.code);
    await rpc.getOperation({ name });
    expect(proxy.connections()).toBe(1);
  });
});
