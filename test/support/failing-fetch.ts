import { AsyncLocalStorage } from "node:async_hooks";
import { createRegistry } from "@bufbuild/protobuf";
import { type Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { Operations } from "../../src/protos.js";
import {
  createRestHandler,
  createRestTransport,
  operationsHttpRules,
} from "../../src/rest/index.js";
import { createScriptedOperations, type ScriptedOperations } from "../../src/testing/index.js";
import { createWebHandler } from "../../src/web/index.js";
import { PrintMetadataSchema, PrintResponseSchema } from "../gen/printing/v1/printing_pb.js";
import { Print } from "./print-server.js";
import { createSteppedClock, type SteppedClock } from "./stepped-clock.js";

/** The wires of a `fetch`, which a test can break in every place. */
export const fetchWires = ["Connect", "gRPC-Web", "REST"] as const;
export type FetchWire = (typeof fetchWires)[number];

/** The method that a request is about. */
export type Asked = "GetOperation" | "WaitOperation" | "ListOperations" | "Print" | "other";

/** Gives the response to a request in place of the server, which `serve` asks. */
export type Breakage = (
  request: Request,
  serve: () => Promise<Response>,
  clock: SteppedClock,
) => Promise<Response>;

/** A server in this process whose responses a test breaks. */
export interface FailingServer {
  readonly clock: SteppedClock;
  readonly scripted: ScriptedOperations;
  readonly transport: Transport;
  /** Decides for each request whether it is broken. Default: none is. */
  breaks: (asked: Asked) => Breakage | undefined;
  /** The polls, with their times in milliseconds since the server was made. */
  readonly polls: { readonly asked: Asked; readonly atMs: number }[];
}

export function createFailingServer(wire: FetchWire): FailingServer {
  const clock = createSteppedClock();
  const startMs = clock.monotonicMs();
  const scripted = createScriptedOperations({ clock });
  const start = scripted.handle(Print, {
    states: [{}, { afterMs: 40_000, response: { pages: 3 } }],
  });
  const polls: FailingServer["polls"] = [];
  const server: FailingServer = {
    clock,
    scripted,
    polls,
    breaks: () => undefined,
    transport: transportOf(wire, async (input, init) => {
      const request = new Request(input, init);
      const asked = askedBy(request);
      if (asked !== "other") polls.push({ asked, atMs: clock.monotonicMs() - startMs });
      const breakage = server.breaks(asked);
      const serve = () =>
        behind.run({ ...scripted.service, print: start }, () => web.fetch(request));
      return breakage === undefined ? serve() : breakage(request, serve, clock);
    }),
  };
  return server;
}

/** The methods of the server that a request is for. */
type Methods = ScriptedOperations["service"] & {
  readonly print: ReturnType<ScriptedOperations["handle"]>;
};

const behind = new AsyncLocalStorage<Methods>();

function methods(): Methods {
  const found = behind.getStore();
  if (found === undefined) throw new Error("the request came from no server of a test");
  return found;
}

const baseUrl = "http://server.example";
const restRules = [
  ...operationsHttpRules(),
  {
    selector: "printing.v1.PrintService.Print",
    pattern: { case: "post" as const, value: "/v1/print" },
    body: "*",
  },
];

/** The one handler of all servers: to make its routes takes longer than the calls of a test. */
const web = createWebHandler({
  routes: (router) => {
    router.service(Operations, {
      listOperations: (...call) => methods().listOperations(...call),
      getOperation: (...call) => methods().getOperation(...call),
      deleteOperation: (...call) => methods().deleteOperation(...call),
      cancelOperation: (...call) => methods().cancelOperation(...call),
      waitOperation: (...call) => methods().waitOperation(...call),
    });
    router.rpc(Print.method, (...call) => methods().print(...call));
  },
  handlers: (router) => [createRestHandler(router, { rules: restRules })],
  log: () => undefined,
});

function transportOf(wire: FetchWire, fetch: typeof globalThis.fetch): Transport {
  switch (wire) {
    case "Connect":
      return createConnectTransport({ baseUrl, fetch, useBinaryFormat: true });
    case "gRPC-Web":
      return createGrpcWebTransport({ baseUrl, fetch });
    case "REST":
      return createRestTransport({
        baseUrl,
        fetch,
        rules: restRules,
        registry: createRegistry(PrintMetadataSchema, PrintResponseSchema),
      });
  }
}

function askedBy({ url, method }: Request): Asked {
  const path = new URL(url).pathname;
  const rpc = path.slice(path.lastIndexOf("/") + 1);
  if (rpc === "GetOperation" || rpc === "WaitOperation" || rpc === "ListOperations") return rpc;
  if (/print$/i.test(rpc)) return "Print";
  if (path.endsWith(":wait")) return "WaitOperation";
  if (method !== "GET") return "other";
  return path.endsWith("/operations") ? "ListOperations" : "GetOperation";
}

/** The server's response is an error of this code. */
export function withCode(code: Code, headers: HeadersInit = {}): Breakage {
  const failing = createWebHandler({
    routes(router) {
      const fail = () => {
        throw new ConnectError("broken", code, headers);
      };
      router.service(Operations, {
        getOperation: fail,
        waitOperation: fail,
        listOperations: fail,
      });
      router.rpc(Print.method, fail);
    },
    handlers: (router) => [
      createRestHandler(router, {
        rules: restRules,
      }),
    ],
    log: () => undefined,
  });
  return (request) => failing.fetch(request);
}

/** A proxy's page instead of a response. */
export function withPage(status: number, headers: Record<string, string> = {}): Breakage {
  return async () =>
    new Response("<!DOCTYPE html><title>proxy</title>", {
      status,
      headers: { "content-type": "text/html", ...headers },
    });
}

/** The response ends in the middle of its body, in order or with an error of the connection. */
export function withCutBody(how: "ended" | "reset"): Breakage {
  return async (_, serve) => {
    const { status, headers, body } = await serve();
    const bytes = new Uint8Array(await new Response(body).arrayBuffer());
    const half = bytes.slice(0, Math.ceil(bytes.length / 2));
    const cut = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(half);
        if (how === "ended") controller.close();
        else controller.error(new TypeError("terminated"));
      },
    });
    return new Response(cut, { status, headers });
  };
}

/** The connection cannot be had. */
export const withoutConnection: Breakage = async () => {
  throw new TypeError("fetch failed");
};

/** There is never a response. */
export const withSilence: Breakage = (request) =>
  new Promise((_, reject) => {
    request.signal.addEventListener("abort", () => reject(request.signal.reason));
  });

/** The call is cut by a proxy after a time. */
export function cutAfter(ms: number, status: number): Breakage {
  return (request, serve, clock) =>
    new Promise((resolve, reject) => {
      serve().then(resolve, reject);
      clock.schedule(ms, () => void withPage(status)(request, serve, clock).then(resolve));
    });
}

/** The machine's date is set while the poll is under way. */
export function withDateSetBy(ms: number): Breakage {
  return (_, serve, clock) => {
    clock.setDate(clock.nowMs() + ms);
    return serve();
  };
}
