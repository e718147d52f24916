import type { Socket } from "node:net";

/** The first bytes of an HTTP/2 client (RFC 9113, section 3.4); no request of HTTP/1.1 begins so. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Detects by its first bytes whether a new connection speaks HTTP/2, and leaves the bytes unread.
 * If the bytes do not show the version within `timeoutMs` milliseconds, or the connection ends
 * before, it is destroyed.
 */
export function sniffHttp2(
  socket: Socket,
  timeoutMs: number,
  decided: (isHttp2: boolean) => void,
): void {
  let head = Buffer.alloc(0);
  const giveUp = () => socket.destroy();
  const timer = setTimeout(giveUp, timeoutMs);
  const stop = () => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("end", giveUp);
    socket.off("close", stop);
  };
  const look = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    head = Buffer.concat([head, chunk]);
    const length = Math.min(head.length, preface.length);
    const isHttp2 = head.subarray(0, length).equals(preface.subarray(0, length));
    if (isHttp2 && length < preface.length) return;
    stop();
    socket.unshift(head);
    decided(isHttp2);
  };
  socket.on("readable", look);
  socket.once("end", giveUp);
  socket.once("close", stop);
}
