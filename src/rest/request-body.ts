import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "../direct/connect-protocol.js";
import { concatBytes } from "../internal/concat-bytes.js";
import type { HandlerRequest } from "../web/handler.js";
import {
  bodyTooLarge,
  brokenEncoding,
  incompleteBody,
  unexpectedBody,
  unsupportedEncoding,
  unsupportedMediaType,
} from "./errors.js";

/** The limits for reading a body. */
export interface BodyLimits {
  /** Largest body, as it comes and decompressed, in bytes. */
  readonly readMaxBytes: number;
  /** The encodings that are understood. */
  readonly compressions: readonly Compression[];
}

/**
 * Reads the body of a request, decompressed; empty if it has no body.
 *
 * @throws ConnectError 413 as soon as it is over the limit, 415 for an unknown encoding, 400 for
 *   bytes that are not of the one it names.
 */
export async function readBody(request: HandlerRequest, limits: BodyLimits): Promise<Uint8Array> {
  const compression = compressionOf(request, limits);
  const bytes = await readRaw(request, limits.readMaxBytes);
  if (compression === undefined || bytes.length === 0) return bytes;
  try {
    return await compression.decompress(bytes, limits.readMaxBytes);
  } catch (cause) {
    throw asBodyFault(cause, compression.name, limits.readMaxBytes);
  }
}

/**
 * Checks that a request has no body.
 *
 * @throws ConnectError 400 at its first byte.
 */
export async function assertNoBody(request: HandlerRequest): Promise<void> {
  const { body } = request;
  if (body === null) return;
  for await (const chunk of withoutReturn(body)) {
    if (chunk.length > 0) throw unexpectedBody(request.method);
  }
}

/**
 * Makes sure that the Content-Type of a body is JSON. A web page of any origin can send a body
 * without one.
 *
 * @throws ConnectError 415 for another type, or another charset than UTF-8.
 */
export function assertJsonType(contentType: string | null): void {
  if (contentType === null) throw unsupportedMediaType("");
  const [type = "", ...parameters] = contentType.toLowerCase().split(";");
  const isJson = type.trim() === "application/json";
  const charset = parameters.map((one) => one.trim()).find((one) => one.startsWith("charset="));
  const isUtf8 = charset === undefined || /^charset="?(utf-8|us-ascii)"?$/.test(charset);
  if (!isJson || !isUtf8) throw unsupportedMediaType(contentType);
}

function compressionOf(request: HandlerRequest, limits: BodyLimits): Compression | undefined {
  const encoding = request.headerOf("content-encoding")?.trim().toLowerCase();
  if (encoding === undefined || encoding === "" || encoding === "identity") return undefined;
  const found = limits.compressions.find(({ name }) => name === encoding);
  if (found !== undefined) return found;
  throw unsupportedEncoding(
    encoding,
    limits.compressions.map(({ name }) => name),
  );
}

async function readRaw(request: HandlerRequest, maxBytes: number): Promise<Uint8Array> {
  const { body } = request;
  if (body === null) return new Uint8Array();
  if (Number(request.headerOf("content-length") ?? 0) > maxBytes) throw bodyTooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of withoutReturn(body)) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxBytes) throw bodyTooLarge(maxBytes);
  }
  return concatBytes(chunks);
}

/**
 * A stream that a loop may leave without closing it: to close the request of node:http is to cut the
 * connection, before the answer that says why the rest was not read.
 *
 * @throws ConnectError `Code.Canceled` where the client goes away in the middle.
 */
function withoutReturn(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = body[Symbol.asyncIterator]();
      return {
        next: () =>
          iterator.next().catch((cause: unknown) => {
            // A server that limits the size of bodies throws a ConnectError of its limit.
            throw cause instanceof ConnectError ? cause : incompleteBody(cause);
          }),
      };
    },
  };
}

function asBodyFault(cause: unknown, encoding: string, maxBytes: number): ConnectError {
  const isTooLarge = ConnectError.from(cause).code === Code.ResourceExhausted;
  return isTooLarge ? bodyTooLarge(maxBytes) : brokenEncoding(encoding, cause);
}
