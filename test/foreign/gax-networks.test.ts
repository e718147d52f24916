import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Code } from "@connectrpc/connect";
import { afterEach, describe, expect, it } from "vitest";
import { createOperationsClient } from "../../src/index.js";
import { createGrpcTransport, createServer as createRpcServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createScriptedOperations, type Poll, type PollScript } from "../../src/testing/index.js";
import { openGaxOperations, pollWithGax } from "../protocols/gax-operations.js";
import { Print } from "../support/print-server.js";

const name = "operations/1";
/** The operation is done after this time. */
const doneMs = 1000;
/** A client without a result after this time counts as failed. */
const maxQueueDelayMs = 8000;

interface Fault {
  /** The treatment of a poll by the server. */
  readonly polls?: (poll: Poll) => PollScript;
  /** The treatment of a connection by the proxy. */
  readonly proxy?: (connection: number, down: Socket, up: Socket) => void;
}

const once1 =
  (code: Code) =>
  ({ number }: Poll): PollScript =>
    number === 2 ? { fails: code } : "answer";
const waitsFail =
  (code: Code) =>
  ({ method }: Poll): PollScript =>
    method === "WaitOperation" ? { fails: code } : "answer";

const faults: readonly [title: string, fault: Fault][] = [
  ["no fault", {}],
  ["one poll is UNAVAILABLE", { polls: once1(Code.Unavailable) }],
  ["one poll is INTERNAL", { polls: once1(Code.Internal) }],
  ["one poll is UNKNOWN", { polls: once1(Code.Unknown) }],
  ["one poll is DEADLINE_EXCEEDED", { polls: once1(Code.DeadlineExceeded) }],
  ["one poll is RESOURCE_EXHAUSTED", { polls: once1(Code.ResourceExhausted) }],
  ["WaitOperation is UNIMPLEMENTED", { polls: waitsFail(Code.Unimplemented) }],
  ["WaitOperation is PERMISSION_DENIED", { polls: waitsFail(Code.PermissionDenied) }],
  ["WaitOperation is UNAVAILABLE", { polls: waitsFail(Code.Unavailable) }],
  ["polls take 300 ms", { polls: () => ({ delayMs: 300 }) }],
  [
    "each connection is cut after 400 ms",
    {
      proxy(_, down, up) {
        setTimeout(() => {
          down.destroy();
          up.destroy();
        }, 400);
      },
    },
  ],
  [
    "the second connection is refused",
    {
      proxy(connection, down) {
        if (connection === 1) setTimeout(() => down.destroy(), 400);
        if (connection === 2) down.destroy();
      },
    },
  ],
];

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server of one operation behind a proxy with this fault. Resolves with the proxy's port. */
async function serve({ polls, proxy = () => undefined }: Fault): Promise<number> {
  const scripted = createScriptedOperations();
  scripted.add(Print, {
    name,
    states: [{}, { afterMs: doneMs, response: { pages: 3 } }],
    polls: (poll) => (poll.number === 1 ? "answer" : (polls?.(poll) ?? "answer")),
  });
  const server = createRpcServer({
    routes: (router) => router.service(Operations, scripted.service),
  });
  const { url } = await server.listen();
  closers.push(() => server.close({ graceMs: 0 }));
  const sockets = new Set<Socket>();
  let connections = 0;
  const listener = createServer((down) => {
    connections += 1;
    const up = connect(Number(new URL(url).port), "127.0.0.1");
    for (const [from, to] of [
      [down, up],
      [up, down],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
      from.pipe(to);
    }
    proxy(connections, down, up);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  const address = listener.address();
  if (address === null || typeof address === "string") throw new TypeError("no port");
  return address.port;
}

/** The pages of a result; undefined if it does not come, or is an error. */
async function pagesOf(result: Promise<number>): Promise<number | undefined> {
  const patience = new Promise<undefined>((resolve) =>
    setTimeout(() => resolve(undefined), maxQueueDelayMs),
  );
  return Promise.race([result.catch(() => undefined), patience]);
}

const byGax = async (port: number) => {
  const client = openGaxOperations(port);
  closers.push(() => client.close());
  const operation = await pollWithGax(client, name);
  const [response] = (await operation.promise()) as [{ pages?: number }];
  return Number(response.pages);
};

const byUs = async (port: number) => {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  const poll = { initialDelayMs: 50, multiplier: 1 };
  const client = createOperationsClient(transport, { poll });
  return (await (await client.resume(Print, name)).result()).pages;
};

// It takes some 15 s, nearly all of it waiting.
const isWanted = process.env.FOREIGN_CLIENTS === "required";

describe.skipIf(!isWanted)("our client beside google-gax, through the same proxy", () => {
  it.each(faults)("gets a result: %s", async (_, fault) => {
    const [gaxPort, ourPort] = [await serve(fault), await serve(fault)];
    const [gax, ours] = await Promise.all([pagesOf(byGax(gaxPort)), pagesOf(byUs(ourPort))]);
    expect([3, undefined]).toContain(gax);
    expect(ours).toBe(3);
  });
});
