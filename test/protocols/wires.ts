import { Agent } from "node:http";
import { createRegistry } from "@bufbuild/protobuf";
import { type ConnectRouter, createRouterTransport, type Transport } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import { createGrpcTransport, type ServerOptions } from "../../src/node/index.js";
import { file_google_rpc_error_details } from "../../src/protos.js";
import { file_printing_v1_printing } from "../gen/printing/v1/printing_pb.js";
import { startServer } from "../support/servers.js";

/** One way for a client to talk to a server: protocol, format, version of HTTP. */
export interface Wire {
  readonly title: string;
  readonly format: "binary" | "json";
  /** Whether the client is Connect-Web's, which has its own code for a response that it cannot read. */
  readonly isByFetch?: true;
  /** Whether the server is Connect's own router and not `createServer`. Default: false. */
  readonly isInProcess?: boolean;
  /** Serve the routes and connect to them. */
  open(routes: Routes): Promise<Connection>;
}

/** A client's transport and the server at its other end. */
export interface Connection {
  readonly transport: Transport;
  close(): Promise<void>;
}

type Routes = (router: ConnectRouter) => void;

/** The types that this test's servers and clients can write as JSON within an Any. */
export const registry = createRegistry(file_printing_v1_printing, file_google_rpc_error_details);

const jsonOptions = { registry };
const json = { useBinaryFormat: false, jsonOptions };
const binary = { useBinaryFormat: true };
const connectHandlers = { fastPath: false };

/** Every wire that is tested. */
export const wires: readonly Wire[] = [
  {
    title: "gRPC, HTTP/2",
    format: "binary",
    open: overHttp2((http2) => node.createGrpcTransport({ ...http2, ...binary })),
  },
  {
    title: "gRPC with JSON, HTTP/2",
    format: "json",
    open: overHttp2((http2) => node.createGrpcTransport({ ...http2, ...json })),
  },
  {
    title: "gRPC by Connect's handlers, HTTP/2",
    format: "binary",
    open: overHttp2((http2) => node.createGrpcTransport({ ...http2, ...binary }), connectHandlers),
  },
  {
    title: "gRPC with JSON by Connect's handlers, HTTP/2",
    format: "json",
    open: overHttp2((http2) => node.createGrpcTransport({ ...http2, ...json }), connectHandlers),
  },
  {
    title: "gRPC by our transport, HTTP/2",
    format: "binary",
    open: overHttp2((http2) => createGrpcTransport({ ...http2, ...binary })),
  },
  {
    title: "gRPC with JSON by our transport, HTTP/2",
    format: "json",
    open: overHttp2((http2) => createGrpcTransport({ ...http2, ...json })),
  },
  {
    title: "gRPC by our transport and Connect's handlers, HTTP/2",
    format: "binary",
    open: overHttp2((http2) => createGrpcTransport({ ...http2, ...binary }), connectHandlers),
  },
  {
    title: "gRPC-Web, HTTP/2",
    format: "binary",
    open: overHttp2((http2) => node.createGrpcWebTransport({ ...http2, ...binary })),
  },
  {
    title: "gRPC-Web, HTTP/1.1",
    format: "binary",
    open: overHttp1((http1) => node.createGrpcWebTransport({ ...http1, ...binary })),
  },
  {
    title: "gRPC-Web with JSON, HTTP/1.1",
    format: "json",
    open: overHttp1((http1) => node.createGrpcWebTransport({ ...http1, ...json })),
  },
  {
    title: "gRPC-Web by fetch, HTTP/1.1",
    format: "binary",
    open: overFetch((baseUrl) => web.createGrpcWebTransport({ baseUrl, ...binary })),
  },
  {
    title: "Connect, HTTP/2",
    format: "binary",
    open: overHttp2((http2) => node.createConnectTransport({ ...http2, ...binary })),
  },
  {
    title: "Connect, HTTP/1.1",
    format: "binary",
    open: overHttp1((http1) => node.createConnectTransport({ ...http1, ...binary })),
  },
  {
    title: "Connect with JSON, HTTP/2",
    format: "json",
    open: overHttp2((http2) => node.createConnectTransport({ ...http2, ...json })),
  },
  {
    title: "Connect with JSON, HTTP/1.1",
    format: "json",
    open: overHttp1((http1) => node.createConnectTransport({ ...http1, ...json })),
  },
  {
    title: "Connect by fetch, HTTP/1.1",
    format: "binary",
    open: overFetch((baseUrl) => web.createConnectTransport({ baseUrl, ...binary })),
  },
  {
    title: "Connect with JSON by fetch, HTTP/1.1",
    format: "json",
    isByFetch: true,
    open: overFetch((baseUrl) => web.createConnectTransport({ baseUrl, ...json })),
  },
  {
    title: "in process",
    format: "binary",
    open: async (routes) => ({ transport: createRouterTransport(routes), close: async () => {} }),
  },
  {
    title: "in process with JSON",
    isInProcess: true,
    format: "json",
    open: async (routes) => ({
      transport: createRouterTransport(routes, { router: { jsonOptions }, transport: json }),
      close: async () => {},
    }),
  },
];

function overHttp2(
  connect: (options: {
    baseUrl: string;
    httpVersion: "2";
    sessionManager: node.Http2SessionManager;
  }) => Transport,
  serverOptions: Partial<ServerOptions> = {},
): Wire["open"] {
  return async (routes) => {
    const server = await startServer({ routes, jsonOptions, ...serverOptions });
    const { baseUrl } = server;
    const sessionManager = new node.Http2SessionManager(baseUrl);
    return {
      transport: connect({ baseUrl, httpVersion: "2", sessionManager }),
      async close() {
        sessionManager.abort();
        await server.close();
      },
    };
  };
}

function overHttp1(
  connect: (options: {
    baseUrl: string;
    httpVersion: "1.1";
    nodeOptions: { agent: Agent };
  }) => Transport,
): Wire["open"] {
  return async (routes) => {
    const server = await startServer({ routes, jsonOptions });
    const agent = new Agent({ keepAlive: true });
    return {
      transport: connect({ baseUrl: server.baseUrl, httpVersion: "1.1", nodeOptions: { agent } }),
      async close() {
        agent.destroy();
        await server.close();
      },
    };
  };
}

/** The `fetch` of a browser; here it is Node's. */
function overFetch(connect: (baseUrl: string) => Transport): Wire["open"] {
  return async (routes) => {
    const server = await startServer({ routes, jsonOptions });
    return { transport: connect(server.baseUrl), close: () => server.close() };
  };
}
