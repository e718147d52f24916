import { createConsole } from "connect-longrunning/console";
import { createServer } from "connect-longrunning/node";
import { createOperations } from "connect-longrunning/server";
import { addArchiveService } from "./archive-service.js";

/** The archive service on a port. */
export interface ArchiveServer {
  /** `http://127.0.0.1:{port}`: gRPC, gRPC-Web and Connect, without TLS, and a page at `/console/`. */
  readonly baseUrl: string;
  /** Shut the operations down, then the port and all connections to it. */
  close(): Promise<void>;
}

/** Start the archive service on a free port that only this machine can reach. */
export async function startArchiveServer(): Promise<ArchiveServer> {
  // Work of a fraction of a second is to show progress: report more often than by default.
  const operations = createOperations({ reportIntervalMs: 20 });
  const server = createServer({
    routes: (router) => addArchiveService(router, operations),
    operations,
    // A page with the operations, at /console/.
    handlers: (router) => [createConsole(router)],
  });
  const { url } = await server.listen();
  return { baseUrl: url, close: () => server.close() };
}
