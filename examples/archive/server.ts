import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createOperations } from "connect-longrunning/server";
import { addArchiveService } from "./archive-service.js";

/** The archive service on a port. */
export interface ArchiveServer {
  /** `http://127.0.0.1:{port}`: gRPC, gRPC-Web and Connect over HTTP/2 without TLS. */
  readonly baseUrl: string;
  /** Shut the operations down, then the port and all connections to it. */
  close(): Promise<void>;
}

/** Start the archive service on a free port that only this machine can reach. */
export async function startArchiveServer(): Promise<ArchiveServer> {
  // Work of a fraction of a second is to show progress: report more often than by default.
  const operations = createOperations({ reportIntervalMs: 20 });
  const routes = connectNodeAdapter({ routes: (router) => addArchiveService(router, operations) });
  const server = createServer(routes);
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    baseUrl: `http://127.0.0.1:${address.port}`,
    async close() {
      await operations.shutdown();
      const closed = once(server, "close");
      server.close();
      // A session stays open as long as the client likes, and the port with it.
      for (const session of sessions) session.close();
      await closed;
    },
  };
}
