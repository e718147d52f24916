import { createServer, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { JsonValue } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
} from "@connectrpc/connect";
import {
  createNodeListener,
  createRestHandler,
  type NodeListenerOptions,
  type RestHandler,
  type RestHandlerOptions,
} from "../../../src/rest/index.js";

/** An HTTP answer, read wholly. */
export interface RawAnswer {
  readonly status: number;
  readonly header: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** @throws SyntaxError if the body is no JSON. */
  readonly json: JsonValue;
}

/** What a request may have besides its method and path. */
export interface RawRequest {
  readonly body?: string | Uint8Array | undefined;
  readonly header?: Record<string, string> | undefined;
}

/** A REST face on a port of its own. */
export interface RestServer {
  readonly baseUrl: string;
  readonly port: number;
  readonly rest: RestHandler;
  /** Faults that the handler told of. */
  readonly internalErrors: readonly unknown[];
  /** The path goes out as it is written here. */
  send(method: string, path: string, request?: RawRequest): Promise<RawAnswer>;
  close(): Promise<void>;
}

/** What a test may set. */
export interface RestServerOptions extends RestHandlerOptions {
  readonly router?: ConnectRouterOptions | undefined;
  readonly listener?: NodeListenerOptions | undefined;
}

/** Serve the REST face of these routes over HTTP/1.1. */
export async function startRestServer(
  routes: (router: ConnectRouter) => void,
  { router: routerOptions, listener, ...options }: RestServerOptions = {},
): Promise<RestServer> {
  const router = createConnectRouter(routerOptions);
  routes(router);
  const internalErrors: unknown[] = [];
  const rest = createRestHandler(router, {
    onInternalError: (error) => void internalErrors.push(error),
    ...options,
  });
  const server = createServer(createNodeListener(rest, listener));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    port,
    rest,
    internalErrors,
    send: (method, path, request) => sendRaw(port, method, path, request),
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

export function sendRaw(
  port: number,
  method: string,
  path: string,
  { body, header = {} }: RawRequest = {},
): Promise<RawAnswer> {
  const isPlain = body !== undefined && header["transfer-encoding"] === undefined;
  const length = !isPlain ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const type = body === undefined ? {} : { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const headers = { ...length, ...type, ...header };
    const options = { host: "127.0.0.1", port, method, path, headers, agent: false };
    const request = httpRequest(options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.once("error", reject);
      answer.once("end", () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString("utf8");
        resolve({
          status: answer.statusCode ?? 0,
          header: answer.headers,
          bytes,
          text,
          get json() {
            return JSON.parse(text);
          },
        });
      });
    });
    request.once("error", reject);
    request.end(body);
  });
}
