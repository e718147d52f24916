import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";

/** A request as a bare HTTP/2 server sees it. */
export interface RawReceived {
  /** Sorted by name, including the pseudo-headers of HTTP/2. */
  readonly headers: readonly (readonly [string, unknown])[];
  /** In hex. */
  readonly data: string;
}

/** A server of bare HTTP/2, whose responses the test defines. */
export interface RawGrpcServer {
  readonly url: string;
  /** The requests that came whole, in order. */
  readonly received: RawReceived[];
  /** Sets the response to each later request, sent once the request is whole. */
  answer(how: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void): void;
  /** Break all connections, without a word of HTTP/2. */
  cut(): void;
  close(): Promise<void>;
}

export async function startRawGrpcServer(): Promise<RawGrpcServer> {
  const received: RawReceived[] = [];
  const sockets = new Set<Socket>();
  let answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void = () => undefined;
  const server = createServer();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("sessionError", () => undefined);
  server.on("stream", (stream, headers) => {
    const data: Buffer[] = [];
    // Clients that give up reset their streams.
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => data.push(chunk));
    stream.once("end", () => {
      if (stream.aborted) return;
      const sorted = Object.entries(headers).sort(([one], [other]) => (one < other ? -1 : 1));
      received.push({ headers: sorted, data: Buffer.concat(data).toString("hex") });
      answer(stream, headers);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("no port");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${address.port}`,
    received,
    cut,
    answer(how) {
      answer = how;
    },
    async close() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
