import { concatBytes } from "../../internal/concat-bytes.js";
import { maxBodyBytes, type OpenExchange, type RawResponse } from "./raw-exchange.js";

/** Headers of `node:http2`. */
type NodeHeaders = Record<string, string | string[] | number | undefined>;

/** The parts of a `node:http2` client stream that the tap uses. */
interface Http2Stream {
  on(event: "response" | "trailers", listener: (headers: NodeHeaders) => void): this;
  on(event: "data", listener: (chunk: Uint8Array) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  on(event: "close", listener: () => void): this;
  end(body?: Uint8Array): void;
  close(code: number): void;
  readonly rstCode?: number;
}

/** The parts of a `node:http2` client session that the tap uses. */
interface Http2Session {
  request(headers: NodeHeaders): Http2Stream;
  on(event: "error", listener: (error: Error) => void): this;
  on(event: "connect" | "close" | "goaway", listener: () => void): this;
  close(): void;
  destroy(): void;
  unref(): void;
  ref(): void;
  readonly closed: boolean;
  readonly destroyed: boolean;
}

/** The part of the `node:http2` module that the tap uses. */
interface Http2Module {
  connect(authority: string, options: object): Http2Session;
}

/** HTTP/2's error code for a stream that its client no longer needs (RFC 9113, 7). */
const cancelCode = 8;

/** Returns HTTP/2 by Node, loaded by a name that is not a literal so that bundlers ignore it. */
export async function openHttp2Exchange(tls: object = {}): Promise<OpenExchange> {
  const name: string = "node:http2";
  const loaded: unknown = await import(/* @vite-ignore */ name);
  if (!isHttp2Module(loaded)) throw new Error("gRPC needs node:http2, which this runtime lacks");
  const http2 = loaded;
  const shared = new Map<string, Http2Session>();
  /** Why sessions failed, which their streams do not always say. */
  const failures = new WeakMap<Http2Session, Error>();

  const open = (origin: string): Http2Session => {
    const session = http2.connect(origin, tls);
    // Without an "error" listener, Node would end the process.
    session.on("error", (error) => failures.set(session, error));
    return session;
  };
  const sessionOf = (origin: string): Http2Session => {
    const kept = shared.get(origin);
    if (kept !== undefined && !kept.closed && !kept.destroyed) return kept;
    const session = open(origin);
    const forget = () => {
      if (shared.get(origin) === session) shared.delete(origin);
    };
    session.on("goaway", forget).on("close", forget);
    shared.set(origin, session);
    return session;
  };

  return {
    async exchange({ method, url, headers, body, signal, isolated }) {
      const { origin, pathname, search } = new URL(url);
      const session = isolated ? open(origin) : sessionOf(origin);
      try {
        return await requestOn(session, {
          headers: {
            ":method": method,
            ":path": pathname + search,
            ...Object.fromEntries(headers),
          },
          body,
          signal,
          sessionError: () => failures.get(session),
        });
      } finally {
        if (isolated) session.close();
      }
    },
    close() {
      for (const session of shared.values()) session.destroy();
      shared.clear();
    },
  };
}

function requestOn(
  session: Http2Session,
  request: {
    readonly headers: NodeHeaders;
    readonly body: Uint8Array | undefined;
    readonly signal: AbortSignal;
    readonly sessionError: () => Error | undefined;
  },
): Promise<RawResponse> {
  const { headers, body, signal, sessionError } = request;
  return new Promise((resolve, reject) => {
    const stream = session.request(headers);
    const chunks: Uint8Array[] = [];
    let length = 0;
    let response: NodeHeaders | undefined;
    let trailers: NodeHeaders = {};
    let failure: Error | undefined;
    const onAbort = () => {
      reject(signal.reason);
      stream.close(cancelCode);
    };
    stream
      .on("response", (received) => {
        response = received;
      })
      .on("trailers", (received) => {
        trailers = received;
      })
      .on("data", (chunk) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length <= maxBodyBytes) return;
        failure = new Error(`the body exceeds ${maxBodyBytes} bytes`);
        stream.close(cancelCode);
      })
      .on("error", (error) => {
        failure ??= error;
      })
      .on("close", () => {
        signal.removeEventListener("abort", onAbort);
        const { rstCode = 0 } = stream;
        failure ??= response === undefined ? sessionError() : undefined;
        if (failure !== undefined) reject(failure);
        else if (response === undefined) {
          reject(new Error(`the stream closed without a response, HTTP/2 error code ${rstCode}`));
        } else if (rstCode !== 0 && !hasStatus(response, trailers)) {
          reject(new Error(`the server reset the stream, HTTP/2 error code ${rstCode}`));
        } else {
          resolve({
            status: Number(response[":status"]),
            headers: webHeaders(response),
            trailers: webHeaders(trailers),
            body: concatBytes(chunks),
          });
        }
      });
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    stream.end(body);
  });
}

/** Whether the call ended before the reset: servers may reset a stream after its trailers. */
function hasStatus(response: NodeHeaders, trailers: NodeHeaders): boolean {
  return response["grpc-status"] !== undefined || trailers["grpc-status"] !== undefined;
}

function webHeaders(headers: NodeHeaders): Headers {
  const web = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      try {
        web.append(name, String(one));
      } catch {
        // A header value that the Fetch standard forbids is left out.
      }
    }
  }
  return web;
}

function isHttp2Module(value: unknown): value is Http2Module {
  return typeof value === "object" && value !== null && "connect" in value;
}
