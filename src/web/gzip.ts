import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "../direct/connect-protocol.js";
import { concatBytes } from "../internal/concat-bytes.js";
import { streamChunks } from "../internal/stream-chunks.js";

/** Gzip with web streams, for platforms without Node's zlib. */
export const gzip: Compression = {
  name: "gzip",
  compress: (bytes) => through(new CompressionStream("gzip"), bytes, Number.POSITIVE_INFINITY),
  /** @throws ConnectError `Code.ResourceExhausted` as soon as more than the limit has come out. */
  decompress: async (bytes, readMaxBytes) =>
    bytes.length === 0
      ? new Uint8Array()
      : through(new DecompressionStream("gzip"), bytes, readMaxBytes),
};

async function through(
  stream: CompressionStream | DecompressionStream,
  bytes: Uint8Array,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const writer = stream.writable.getWriter();
  // The reader receives the writer's error too.
  const written = writer.write(new Uint8Array(bytes)).then(() => writer.close());
  written.catch(() => undefined);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const chunk of streamChunks(stream.readable)) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxBytes) {
      throw new ConnectError(`more than ${maxBytes} bytes came out`, Code.ResourceExhausted);
    }
  }
  return concatBytes(chunks);
}
