import { once } from "node:events";
import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from "node:http2";
import { setImmediate } from "node:timers/promises";

/** A request to write byte by byte. */
export interface RawRequest {
  readonly headers: OutgoingHttpHeaders;
  /** Each is a DATA frame of its own. */
  readonly chunks: readonly Uint8Array[];
  /** End the stream, reset it with CANCEL, or leave that to the server. Default: end. */
  readonly ending?: "end" | "reset" | "open" | undefined;
}

/** The whole response as a client sees it, except the time of day. */
export interface RawAnswer {
  readonly headers: readonly (readonly [string, unknown])[];
  readonly trailers: readonly (readonly [string, unknown])[];
  /** In hex. */
  readonly data: string;
  readonly rstCode: number;
}

/** A session of HTTP/2, once the server has sent its settings. */
export async function openSession(url: string): Promise<ClientHttp2Session> {
  const session = connect(url);
  // A test that wants to see them looks at its streams.
  session.on("error", () => undefined);
  await once(session, "remoteSettings");
  return session;
}

/** Send a request, and resolve when its stream is closed. */
export async function rawCall(
  session: ClientHttp2Session,
  { headers, chunks, ending = "end" }: RawRequest,
): Promise<RawAnswer> {
  // Node ends a GET at once unless this is set.
  const stream = session.request(headers, chunks.length > 0 ? { endStream: false } : {});
  const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
  const data: Buffer[] = [];
  let answerHeaders: object = {};
  let answerTrailers: object = {};
  stream.on("response", (received) => {
    answerHeaders = received;
  });
  stream.on("trailers", (received) => {
    answerTrailers = received;
  });
  stream.on("data", (chunk: Buffer) => data.push(chunk));
  // The reset code says the same.
  stream.on("error", () => undefined);
  for (const chunk of chunks) {
    // A server that has seen enough resets the stream.
    if (stream.closed || stream.destroyed) break;
    stream.write(chunk);
    await setImmediate();
  }
  if (ending === "reset") stream.close(constants.NGHTTP2_CANCEL);
  else if (ending === "end") stream.end();
  await closed;
  return {
    headers: Object.entries(answerHeaders).filter(([name]) => name !== "date"),
    trailers: Object.entries(answerTrailers),
    data: Buffer.concat(data).toString("hex"),
    rstCode: stream.rstCode ?? 0,
  };
}
