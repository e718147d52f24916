import { createServer, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { JsonValue } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
} from "@connectrpc/connect";
import { recordingRouter } from "../../../src/direct/recording-router.js";
import { createNodeListener, type NodeListenerOptions } from "../../../src/node/index.js";
import { createRestHandler, type RestHandlerOptions } from "../../../src/rest/index.js";
import type { Handler } from "../../../src/web/index.js";
import { openSession, rawCall } from "../../support/raw-call.js";

/** An HTTP answer, read wholly. */
export interface RawAnswer {
  readonly status: number;
  readonly header: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** @throws SyntaxError if the body is not JSON. */
  readonly json: JsonValue;
}

/** The body and headers of a request. */
export interface RawRequest {
  readonly body?: string | Uint8Array | undefined;
  readonly header?: Record<string, string> | undefined;
}

/** A REST face on a port of its own. */
export interface RestServer {
  readonly baseUrl: string;
  readonly port: number;
  readonly rest: Handler;
  /** The internal errors that the handler reported. */
  readonly internalErrors: readonly unknown[];
  /** The path goes out as it is written here. */
  send(method: string, path: string, request?: RawRequest): Promise<RawAnswer>;
  close(): Promise<void>;
}

/** The options of a test's server. */
export interface RestServerOptions extends RestHandlerOptions {
  readonly router?: ConnectRouterOptions | undefined;
  readonly listener?: NodeListenerOptions | undefined;
  /** Default: "1.1". */
  readonly httpVersion?: "1.1" | "2" | undefined;
  /** Whether Connect's handlers have the calls, and not the implementations. Default: false. */
  readonly isUniversal?: boolean | undefined;
}

/** Serve the REST face of these routes. */
export async function startRestServer(
  routes: (router: ConnectRouter) => void,
  {
    router: routerOptions = {},
    listener,
    httpVersion = "1.1",
    isUniversal = false,
    ...options
  }: RestServerOptions = {},
): Promise<RestServer> {
  const plain = createConnectRouter(routerOptions);
  const router = isUniversal ? plain : recordingRouter(plain, routerOptions);
  routes(router);
  const internalErrors: unknown[] = [];
  const rest = createRestHandler(router, {
    onInternalError: (error) => void internalErrors.push(error),
    ...options,
  });
  const answer = createNodeListener(rest, listener);
  const server = httpVersion === "2" ? createHttp2Server(answer) : createServer(answer);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  const send = httpVersion === "2" ? sendRawHttp2 : sendRaw;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    port,
    rest,
    internalErrors,
    send: (method, path, request) => send(port, method, path, request),
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export async function sendRawHttp2(
  port: number,
  method: string,
  path: string,
  { body, header = {} }: RawRequest = {},
): Promise<RawAnswer> {
  const session = await openSession(`http://127.0.0.1:${port}`);
  const { host, ...headers } = header;
  const answer = await rawCall(session, {
    headers: {
      ":method": method,
      ":path": path,
      ...(host !== undefined && { ":authority": host }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    chunks: body === undefined ? [] : [Buffer.from(body)],
  });
  session.destroy();
  const answered: IncomingHttpHeaders = {};
  for (const [name, value] of answer.headers) {
    answered[name] = Array.isArray(value) ? value.map(String) : String(value);
  }
  return rawAnswer(Number(answered[":status"]), answered, Buffer.from(answer.data, "hex"));
}

function rawAnswer(status: number, header: IncomingHttpHeaders, bytes: Buffer): RawAnswer {
  const text = bytes.toString("utf8");
  return {
    status,
    header,
    bytes,
    text,
    get json() {
      return JSON.parse(text);
    },
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
        resolve(rawAnswer(answer.statusCode ?? 0, answer.headers, Buffer.concat(chunks)));
      });
    });
    request.once("error", reject);
    request.end(body);
  });
}
