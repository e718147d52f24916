import type { OutgoingHttpHeaders } from "node:http2";
import {
  type DescMessage,
  type DescMethodUnary,
  isMessage,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  type GrpcTransportOptions,
} from "@connectrpc/connect-node";
import {
  type Compression,
  createMethodSerializationLookup,
  createMethodUrl,
  grpcRequestHeader,
  type Serialization,
  validateReadWriteMaxBytes,
} from "../direct/connect-protocol.js";
import { addToNodeHeaders } from "./node-headers.js";

/** How a transport writes requests and reads answers: its options, with Connect's defaults. */
export interface ClientFormat {
  readonly acceptCompression: Compression[];
  readonly sendCompression: Compression | null;
  readonly readMaxBytes: number;
  readonly compressMinBytes: number;
  methodOf(method: DescMethodUnary): ClientMethod;
  /**
   * The headers of a request.
   *
   * @param timeoutMs Undefined for no timeout.
   * @param own The caller's headers. The protocol's headers replace them.
   */
  requestHeaders(timeoutMs: number | undefined, own: HeadersInit | undefined): OutgoingHttpHeaders;
  /** The headers of a request as `Headers`, for interceptors, which may change them. */
  requestHeader(timeoutMs: number | undefined, own: HeadersInit | undefined): Headers;
}

/** The values that all calls of one method share. */
export interface ClientMethod {
  readonly url: string;
  readonly input: Serialization<MessageShape<DescMessage>>;
  readonly output: Serialization<MessageShape<DescMessage>>;
}

/** @throws ConnectError for options out of Connect's bounds. */
export function createClientFormat(options: GrpcTransportOptions): ClientFormat {
  const { baseUrl, binaryOptions, jsonOptions, useBinaryFormat = true } = options;
  const sendCompression = options.sendCompression ?? null;
  const acceptCompression = options.acceptCompression ?? [compressionGzip, compressionBrotli];
  const bounds = validateReadWriteMaxBytes(
    options.readMaxBytes,
    options.writeMaxBytes,
    options.compressMinBytes,
  );
  const methods = new WeakMap<DescMethodUnary, ClientMethod>();
  const createMethod = (method: DescMethodUnary): ClientMethod => {
    const lookup = createMethodSerializationLookup(method, binaryOptions, jsonOptions, bounds);
    return {
      url: createMethodUrl(baseUrl, method),
      input: lookup.getI(useBinaryFormat),
      output: lookup.getO(useBinaryFormat),
    };
  };
  const requestHeader = (timeoutMs: number | undefined, own: HeadersInit | undefined) => {
    const headers = grpcRequestHeader(
      useBinaryFormat,
      undefined,
      own,
      acceptCompression,
      sendCompression,
    );
    if (timeoutMs !== undefined) headers.set("grpc-timeout", timeoutText(timeoutMs));
    return headers;
  };
  const ofAll: OutgoingHttpHeaders = {};
  addToNodeHeaders(ofAll, requestHeader(undefined, undefined));

  return {
    acceptCompression,
    sendCompression,
    ...bounds,
    methodOf(method) {
      let known = methods.get(method);
      if (known === undefined) {
        known = createMethod(method);
        methods.set(method, known);
      }
      return known;
    },
    requestHeader,
    requestHeaders(timeoutMs, own) {
      if (own !== undefined) {
        const headers: OutgoingHttpHeaders = {};
        addToNodeHeaders(headers, requestHeader(timeoutMs, own));
        return headers;
      }
      if (timeoutMs === undefined) return ofAll;
      return { ...ofAll, "grpc-timeout": timeoutText(timeoutMs) };
    },
  };
}

/**
 * Returns the message as the method's output type, which the parser has created.
 *
 * @throws ConnectError `Code.Internal` if it has another type, which would be a bug in this package.
 */
export function asMessage<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<DescMessage>,
): MessageShape<Desc> {
  if (isMessage(message, schema)) return message;
  throw new ConnectError(`${message.$typeName} is no ${schema.typeName}`, Code.Internal);
}

/** The units of gRPC's timeouts, in milliseconds, from the finest (PROTOCOL-HTTP2.md, "Timeout"). */
const timeoutUnits = [
  ["m", 1],
  ["S", 1000],
  ["M", 60_000],
] as const;

/** Returns the timeout as "TimeoutValue TimeoutUnit": at most eight digits, never shorter than `timeoutMs`. */
function timeoutText(timeoutMs: number): string {
  for (const [unit, ms] of timeoutUnits) {
    const value = Math.max(Math.ceil(timeoutMs / ms), 0);
    if (value < 100_000_000) return `${value}${unit}`;
  }
  return `${Math.min(Math.ceil(timeoutMs / 3_600_000), 99_999_999)}H`;
}
