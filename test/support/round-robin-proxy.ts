import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A port behind which several servers take turns, connection by connection. */
export interface RoundRobinProxy {
  readonly port: number;
  /** How many connections each of the servers was given, in their order. */
  readonly connections: readonly number[];
  /** Cut all connections; resolves when none is left. */
  close(): Promise<void>;
}

/** Pass TCP connections on to these ports of this machine, the first to the first. */
export async function startRoundRobinProxy(ports: readonly number[]): Promise<RoundRobinProxy> {
  const connections = ports.map(() => 0);
  const open = new Set<Socket>();
  let turn = 0;
  const keep = (socket: Socket, other: Socket) => {
    open.add(socket);
    // A reset is an end like any other here.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      open.delete(socket);
      other.destroy();
    });
  };
  const server = createServer((downstream) => {
    const at = turn % ports.length;
    turn += 1;
    const port = ports[at];
    if (port === undefined) {
      downstream.destroy();
      return;
    }
    connections[at] = (connections[at] ?? 0) + 1;
    const upstream = connect({ port, host: "127.0.0.1", noDelay: true });
    keep(downstream, upstream);
    keep(upstream, downstream);
    downstream.pipe(upstream).pipe(downstream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("expected a TCP port");
  return {
    port: address.port,
    connections,
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
