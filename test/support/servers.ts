import { createServer } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { type ConnectNodeAdapterOptions, connectNodeAdapter } from "@connectrpc/connect-node";

/** A server on a loopback port of its own. */
export interface RunningServer {
  readonly port: number;
  /** `http://127.0.0.1:{port}`. */
  readonly baseUrl: string;
  /** Stop listening and cut every connection; resolves when nothing is left open. */
  close(): Promise<void>;
}

/** HTTP/2 without TLS, as gRPC clients speak it to an insecure port. */
export async function startHttp2Server(options: ConnectNodeAdapterOptions): Promise<RunningServer> {
  // A copy, because the adapter writes to its options.
  const server = createHttp2Server(connectNodeAdapter({ ...options }));
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  return started(server, () => {
    for (const session of sessions) session.destroy();
  });
}

/** HTTP/1.1 without TLS. */
export async function startHttp1Server(options: ConnectNodeAdapterOptions): Promise<RunningServer> {
  const server = createServer(connectNodeAdapter({ ...options }));
  return started(server, () => server.closeAllConnections());
}

async function started(server: Server, cutConnections: () => void): Promise<RunningServer> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    baseUrl: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        cutConnections();
      }),
  };
}
