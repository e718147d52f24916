import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A port in front of PostgreSQL that can end connections as the server does. */
export interface SeveringProxy {
  /** The database's URL through the proxy. */
  readonly url: string;
  /**
   * Makes each later connection get the server's 57P01 in the same packet as the message
   * that it is ready, and ends.
   */
  severNewConnections(): void;
  /** Stops all bytes to and from the server; the sockets stay open. */
  hold(): void;
  /** How many connections of clients are open. */
  connections(): number;
  /** How many statements the clients have sent so far. */
  statements(): number;
  close(): Promise<void>;
}

const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** ErrorResponse of the protocol (PostgreSQL, 54.7), as `pg_terminate_backend` sends it. */
function terminated(): Buffer {
  const fields = "SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0";
  const head = Buffer.alloc(5);
  head.write("E");
  head.writeInt32BE(4 + Buffer.byteLength(fields), 1);
  return Buffer.concat([head, Buffer.from(fields)]);
}

/** Counts the messages Query and Execute in what one client sends (PostgreSQL, 54.7). */
function createStatementCounter(): (bytes: Buffer) => number {
  let rest = Buffer.alloc(0);
  let isStarted = false;
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    let count = 0;
    for (;;) {
      // The first message has no type.
      const head = isStarted ? 1 : 0;
      if (rest.length < head + 4) return count;
      const end = head + rest.readInt32BE(head);
      if (rest.length < end) return count;
      const type = isStarted ? String.fromCharCode(rest[0] ?? 0) : "";
      if (type === "Q" || type === "E") count += 1;
      isStarted = true;
      rest = rest.subarray(end);
    }
  };
}

export async function startSeveringProxy(databaseUrl: string): Promise<SeveringProxy> {
  const target = new URL(databaseUrl);
  const open = new Set<Socket>();
  let isSevering = false;
  let isHolding = false;
  let statements = 0;
  const clients = new Set<Socket>();
  const keep = (socket: Socket, other: Socket) => {
    open.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      open.delete(socket);
      other.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect({ port: Number(target.port), host: target.hostname, noDelay: true });
    clients.add(client);
    client.once("close", () => clients.delete(client));
    keep(client, upstream);
    keep(upstream, client);
    const count = createStatementCounter();
    client.on("data", (bytes: Buffer) => {
      statements += count(bytes);
      if (!isHolding) upstream.write(bytes);
    });
    upstream.on("data", (bytes: Buffer) => {
      if (isHolding) return;
      const isReady = bytes.subarray(-readyForQuery.length).equals(readyForQuery);
      if (isSevering && isReady) client.end(Buffer.concat([bytes, terminated()]));
      else client.write(bytes);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("expected a TCP port");
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(address.port);
  return {
    url: url.href,
    severNewConnections() {
      isSevering = true;
    },
    hold() {
      isHolding = true;
    },
    connections: () => clients.size,
    statements: () => statements,
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
