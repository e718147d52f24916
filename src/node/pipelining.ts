import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface Pipelining {
  /** Calls `serve` for a request once few enough of its connection are being answered. */
  add(request: IncomingMessage, response: ServerResponse, serve: () => void): void;
  /** All responses that are not closed. */
  readonly responses: Iterable<ServerResponse>;
}

/**
 * Limits the requests of one connection that are answered at a time (RFC 9112, section 9.3.2),
 * and ends all of them with their connection. Node does neither: it hands over all requests of a
 * chunk at once, and its 'close' event reaches only the response that is being sent.
 *
 * @param onClosed Called when a response is closed.
 */
export function createPipelining(maxPipelined: number, onClosed: () => void): Pipelining {
  const connections = new WeakMap<Socket, Connection>();
  const responses = new Set<ServerResponse>();
  return {
    responses,
    add(request, response, serve) {
      const { socket } = request;
      let connection = connections.get(socket);
      if (connection === undefined) {
        connection = new Connection(socket, maxPipelined);
        connections.set(socket, connection);
      }
      responses.add(response);
      connection.add(response, serve, () => {
        responses.delete(response);
        onClosed();
      });
    },
  };
}

/** A paused socket does not notice that its client is gone, so it is read again after this time. */
const probeMs = 250;
/** How long it is read then, unless a request comes before. */
const probeReadMs = 10;
/** The socket is no longer read at this number of waiting requests, until calls have ended. */
const maxWaiting = 2000;

/** One HTTP/1.1 connection, with the requests that its client has pipelined. */
class Connection {
  /** Responses that are not closed. */
  readonly #open = new Set<ServerResponse>();
  /** Requests beyond the limit; the socket is paused while there are any. */
  readonly #waiting: (() => void)[] = [];
  #answering = 0;
  #probe: ReturnType<typeof setTimeout> | undefined;
  #isProbing = false;

  constructor(
    readonly socket: Socket,
    readonly maxPipelined: number,
  ) {
    // Node also resumes a socket itself, for example to read the body of a request.
    socket.on("resume", () => {
      if (this.#waiting.length > 0 && !this.#isProbing) socket.pause();
    });
    socket.once("close", () => {
      clearTimeout(this.#probe);
      this.#waiting.length = 0;
      // Runs after Node has closed the response whose turn it is.
      process.nextTick(() => {
        for (const response of this.#open) {
          response.destroy();
          if (!response.closed) response.emit("close");
        }
      });
    });
  }

  add(response: ServerResponse, serve: () => void, onClosed: () => void): void {
    const begin = () => {
      this.#answering += 1;
      serve();
    };
    this.#open.add(response);
    response.once("close", () => {
      this.#open.delete(response);
      this.#answering -= 1;
      if (!this.socket.destroyed) this.#goOn();
      onClosed();
    });
    if (this.#answering < this.maxPipelined && this.#waiting.length === 0) begin();
    else {
      this.#waiting.push(begin);
      this.#pause();
    }
  }

  #goOn(): void {
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) return;
    clearTimeout(this.#probe);
    this.#probe = undefined;
    this.socket.resume();
  }

  #pause(): void {
    this.#isProbing = false;
    this.socket.pause();
    this.#probe ??= setTimeout(() => this.#read(), probeMs);
  }

  #read(): void {
    this.#isProbing = this.#waiting.length < maxWaiting;
    if (this.#isProbing) this.socket.resume();
    this.#probe = setTimeout(() => {
      this.#probe = undefined;
      if (this.#waiting.length > 0) this.#pause();
    }, probeReadMs);
  }
}
