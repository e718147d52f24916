import { createServer, type ServerOptions } from "../../src/node/index.js";

/** A server on a loopback port of its own. */
export interface RunningServer {
  readonly port: number;
  /** `http://127.0.0.1:{port}`. */
  readonly baseUrl: string;
  /** Stop listening and cut every connection; resolves when nothing is left open. */
  close(): Promise<void>;
}

/** HTTP/1.1 and HTTP/2 on one port, without TLS. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const server = createServer(options);
  const { port, url } = await server.listen();
  return { port, baseUrl: url, close: () => server.close({ graceMs: 0 }) };
}
