import { createServer, type Server as NetServer, type Socket } from "node:net";
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContextOptions,
} from "node:tls";
import type { ServerEvent } from "./server-events.js";
import type { ResolvedLimits } from "./server-limits.js";
import type { ServerOptions } from "./server-options.js";
import { sniffHttp2 } from "./sniff-http2.js";

/** Takes a new connection over. */
export interface ConnectionHandlers {
  http1(socket: Socket): void;
  http2(socket: Socket): void;
}

/** A listening socket that detects the version of HTTP. */
export interface Port {
  readonly server: NetServer;
  /** The connections that are open, whatever became of them. */
  readonly sockets: ReadonlySet<Socket>;
  /** Uses other certificates from the next connection on. */
  setTls(tls: SecureContextOptions): void;
  /** Close the connections that have not said yet which version of HTTP they speak. */
  dropUndecided(): void;
}

/** Creates a port that detects the protocol by ALPN with TLS (RFC 7301), and by the first bytes without TLS. */
export function createPort(
  tls: ServerOptions["tls"],
  limits: ResolvedLimits,
  takers: ConnectionHandlers,
  log: (event: ServerEvent) => void,
): Port {
  const sockets = new Set<Socket>();
  const undecided = new Set<Socket>();
  const take = (socket: Socket, isHttp2: boolean) => {
    if (isHttp2) takers.http2(socket);
    else takers.http1(socket);
  };
  const fail = (cause: unknown) => log({ kind: "connection-failed", cause });
  // TCP keep-alive finds clients that have disappeared during a quiet HTTP/1.1 call.
  const ofSocket = {
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: limits.idleTimeoutMs,
  };
  const tlsServer =
    tls === undefined
      ? undefined
      : createTlsServer({
          handshakeTimeout: limits.headersTimeoutMs,
          ...ofSocket,
          ...tls,
          ALPNProtocols: ["h2", "http/1.1"],
        });
  const server = tlsServer ?? createServer(ofSocket);
  server.maxConnections = limits.maxConnections;
  server.on("drop", (dropped) => {
    log({ kind: "connection-refused", remoteAddress: dropped?.remoteAddress });
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // The HTTP servers add listeners too. This listener handles errors before and after theirs
    // exist.
    socket.on("error", fail);
    if (tls === undefined) {
      undecided.add(socket);
      socket.once("close", () => undecided.delete(socket));
      sniffHttp2(socket, limits.headersTimeoutMs, (isHttp2) => {
        undecided.delete(socket);
        take(socket, isHttp2);
      });
    }
  });
  server.on("secureConnection", (socket: Socket & { alpnProtocol: string | false | null }) => {
    socket.on("error", fail);
    take(socket, socket.alpnProtocol === "h2");
  });
  server.on("tlsClientError", (cause: unknown, socket: Socket) => {
    fail(cause);
    // Node leaves the socket open for the listener, including after a handshake timeout.
    socket.destroy();
  });
  return {
    server,
    sockets,
    setTls(given) {
      if (tlsServer === undefined) {
        throw new TypeError("the server was created without `tls`: setTls cannot turn TLS on");
      }
      const options = { ...tls, ...given };
      // `createSecureContext` throws for a bad certificate before the server changes. Node's method
      // changes the server first.
      createSecureContext(options);
      tlsServer.setSecureContext(options);
    },
    dropUndecided() {
      for (const socket of undecided) socket.destroy();
    },
  };
}
