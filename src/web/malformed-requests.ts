import type { DescMethod, DescMethodUnary } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import type {
  Compression,
  UniversalHandler,
  UniversalHandlerFn,
  UniversalServerRequest,
  UniversalServerResponse,
} from "../direct/connect-protocol.js";
import { concatBytes } from "../internal/concat-bytes.js";
import { oneChunk } from "../internal/one-chunk.js";
import { malformedRequest } from "./errors.js";

/**
 * Answers messages that cannot be parsed with INVALID_ARGUMENT in this package's words.
 *
 * Connect's handlers answer with the parser's text, and with INTERNAL for malformed bytes.
 * Interceptors run after the parser, so none can change that. A call that has not reached the
 * interceptor, and whose response has such an error, is therefore made again: with an empty
 * message, to a handler that only fails. That handler writes the error in the call's protocol.
 */
export interface MalformedRequests {
  /** The outermost interceptor of Connect's handlers. */
  readonly interceptor: Interceptor;
  /** Returns a function that answers as the handler does, except for malformed messages. */
  answering(rpc: UniversalHandler): UniversalHandlerFn;
}

/** Whether a call has reached its interceptors. */
const reached = createContextKey<{ isReached: boolean } | undefined>(undefined);

/**
 * @param createRouter Makes an empty router with the options of the server.
 * @param compressions The compressions that responses may have.
 */
export function createMalformedRequests(
  createRouter: () => ConnectRouter,
  compressions: readonly Compression[],
): MalformedRequests {
  return {
    interceptor: (next) => (request) => {
      const state = request.contextValues.get(reached);
      if (state !== undefined) state.isReached = true;
      if (!request.stream) return next(request);
      return next({ ...request, message: withOwnErrors(request.message, request.method) });
    },
    answering(rpc) {
      const { method } = rpc;
      if (!isUnary(method)) return rpc;
      let failing: UniversalHandler | undefined;
      const fail = (): never => {
        throw malformedRequest(method.input.typeName);
      };
      return async (request) => {
        const state = { isReached: false };
        const contextValues = (request.contextValues ?? createContextValues()).set(reached, state);
        const response = await rpc({ ...request, contextValues });
        if (state.isReached || response.body === undefined) return response;
        const chunks = response.body[Symbol.asyncIterator]();
        // gRPC's handlers start the call only when their response is read.
        const first = await chunks.next();
        if (state.isReached) return { ...response, body: resumed(first, chunks) };
        const bytes = await readAll(first, chunks);
        const plain = await decompressed(response, bytes, compressions);
        if (!isParserError(errorOf(response, plain))) return { ...response, body: oneChunk(bytes) };
        failing ??= createRouter().rpc(method, fail).handlers[0];
        return failing === undefined ? response : failing(withEmptyMessage(request));
      };
    },
  };
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

/** Returns the chunks of an iterator whose first result has been read. */
export function resumed(
  first: IteratorResult<Uint8Array>,
  chunks: AsyncIterator<Uint8Array>,
): AsyncIterable<Uint8Array> {
  let isFirst = true;
  const done = { done: true, value: undefined } as const;
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        if (!isFirst) return chunks.next();
        isFirst = false;
        return first;
      },
      // Connect's handlers use `return` and `throw` to detect that the client did not read the
      // response.
      throw: async (error: unknown) => (await chunks.throw?.(error)) ?? done,
      return: async () => (await chunks.return?.()) ?? done,
    }),
  };
}

async function* withOwnErrors<T>(
  messages: AsyncIterable<T>,
  { input }: DescMethod,
): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw error instanceof ConnectError && isParserError(error)
      ? malformedRequest(input.typeName)
      : error;
  }
}

/** An error as far as it decides here. */
interface ErrorText {
  readonly code: Code | undefined;
  readonly rawMessage: string;
}

/** Whether Connect made an error from a parser's error, for bytes or for JSON. */
function isParserError({ code, rawMessage }: ErrorText): boolean {
  if (code === Code.Internal) return rawMessage.startsWith("parse binary: ");
  return code === Code.InvalidArgument && rawMessage.startsWith("cannot decode ");
}

/** The error of a unary response: in gRPC's trailers, in gRPC-Web's body, or in Connect's JSON. */
function errorOf({ status, trailer }: UniversalServerResponse, bytes: Uint8Array): ErrorText {
  const text = new TextDecoder().decode(bytes);
  const grpcStatus = trailer?.get("grpc-status") ?? /grpc-status: *(\d+)/i.exec(text)?.[1];
  if (grpcStatus !== undefined && grpcStatus !== null) {
    const message = trailer?.get("grpc-message") ?? /grpc-message: *([^\r\n]*)/i.exec(text)?.[1];
    return { code: Number(grpcStatus), rawMessage: decodeURIComponent(message ?? "") };
  }
  if (status === 200) return { code: undefined, rawMessage: "" };
  try {
    const { code, message } = JSON.parse(text);
    const codes = new Map([
      ["internal", Code.Internal],
      ["invalid_argument", Code.InvalidArgument],
    ]);
    return { code: codes.get(code), rawMessage: String(message) };
  } catch {
    return { code: undefined, rawMessage: "" };
  }
}

/** Returns the body of a unary error without the compression of Connect's body or gRPC-Web's trailers. */
async function decompressed(
  { header }: UniversalServerResponse,
  bytes: Uint8Array,
  compressions: readonly Compression[],
): Promise<Uint8Array> {
  const contentEncoding = header?.get("content-encoding");
  const isCompressed = ((bytes[0] ?? 0) & 1) === 1;
  const encoding = contentEncoding ?? (isCompressed ? header?.get("grpc-encoding") : undefined);
  const compression = compressions.find(({ name }) => name === encoding);
  if (compression === undefined) return bytes;
  // The head of gRPC-Web's trailers has five bytes.
  return compression.decompress(contentEncoding ? bytes : bytes.subarray(5), maxErrorBytes);
}

/** Connect's own limit without an option. The server has made the error itself. */
const maxErrorBytes = 0xffffffff;

async function readAll(
  first: IteratorResult<Uint8Array>,
  chunks: AsyncIterator<Uint8Array>,
): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for (let chunk = first; chunk.done !== true; chunk = await chunks.next()) all.push(chunk.value);
  return concatBytes(all);
}

/**
 * The headers about the whole body. `grpc-encoding` stays, because the response's encoding depends on it;
 * the flag of the empty message says that it is not compressed.
 */
const ofBody = ["content-length", "content-encoding"];

/** The request with an empty message, which is valid in every protocol and format. */
function withEmptyMessage(request: UniversalServerRequest): UniversalServerRequest {
  const header = new Headers(request.header);
  for (const name of ofBody) header.delete(name);
  const contentType = (header.get("content-type") ?? "").toLowerCase();
  const url = new URL(request.url);
  if (url.searchParams.has("message")) {
    const isJson = url.searchParams.get("encoding") === "json";
    url.searchParams.set("message", isJson ? "{}" : "");
    for (const name of ["base64", "compression"]) url.searchParams.delete(name);
  }
  const message = /json/.test(contentType) ? new TextEncoder().encode("{}") : new Uint8Array();
  const head = Uint8Array.of(0, 0, 0, 0, message.length);
  const isEnveloped = contentType.startsWith("application/grpc");
  const body = isEnveloped ? concatBytes([head, message]) : message;
  return { ...request, url: url.toString(), header, body: oneChunk(body) };
}
