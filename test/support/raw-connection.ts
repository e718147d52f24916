import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A TCP connection whose bytes a test writes itself. */
export interface RawConnection {
  readonly socket: Socket;
  /** Write, as bytes of Latin-1; resolves when they are sent, or will never be. */
  send(bytes: string | Uint8Array): Promise<void>;
  /** The bytes received so far, as Latin-1. */
  received(): string;
  /** Resolves when so much has come that the predicate holds; rejects where the end comes first. */
  receives(predicate: (received: string) => boolean): Promise<string>;
  /** Resolves with all received bytes when the peer has closed or reset the connection. */
  readonly ended: Promise<string>;
}

export async function openRawConnection(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const chunks: Buffer[] = [];
  const received = () => Buffer.concat(chunks).toString("latin1");
  // A reset is an end like any other here.
  socket.on("error", () => {});
  socket.on("data", (chunk) => chunks.push(chunk));
  const ended = new Promise<string>((resolve) => {
    socket.once("close", () => resolve(received()));
  });
  return {
    socket,
    send: (bytes) =>
      new Promise((resolve) => {
        const buffer = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
        socket.write(buffer, () => resolve());
      }),
    received,
    receives: (predicate) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!predicate(received())) return;
          socket.off("data", look);
          resolve(received());
        };
        socket.on("data", look);
        void ended.then((all) => reject(new Error(`the connection ended after: ${all}`)));
        look();
      }),
    ended,
  };
}
