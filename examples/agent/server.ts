import { createMcpHandler } from "connect-longrunning/mcp";
import { createServer } from "connect-longrunning/node";
import { createOperations } from "connect-longrunning/server";
import { addArchiveService } from "../archive/archive-service.js";

/** The archive service with its method as a tool for agents. */
export interface AgentServer {
  /** The endpoint of MCP, for the configuration of an agent. */
  readonly url: string;
  /** Shuts the operations down, then the port and all connections to it. */
  close(): Promise<void>;
}

export interface AgentOptions {
  /** 0 takes a free port. */
  readonly port: number;
  /** How long the start of an operation waits for its end, in milliseconds. Default: 25,000. */
  readonly waitMs?: number;
}

/** The text by which a model finds the tool. Comments of .proto files would do as well (`descriptors`). */
const description =
  "Write all files of a folder into one compressed archive (.tar.gz). " +
  "Both paths are absolute; the archive must not exist yet.";

/**
 * Starts the service on a port that only this machine can reach. Agents on this machine may then
 * archive each folder that this process can read: a service that others reach needs `authorize`.
 */
export async function startAgentServer({ port, waitMs }: AgentOptions): Promise<AgentServer> {
  const operations = createOperations();
  const server = createServer({
    operations,
    routes: (router) => addArchiveService(router, operations),
    handlers: (router) => [
      createMcpHandler(router, {
        operations,
        waitMs,
        methods: ({ name }) => name === "Compress" && { name: "compress_folder", description },
        serverInfo: { name: "archive", version: "1.0.0" },
      }),
    ],
  });
  const { url } = await server.listen({ host: "127.0.0.1", port });
  return { url: `${url}/mcp`, close: () => server.close() };
}
