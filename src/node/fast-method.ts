import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { type CallGroup, createCallGroup } from "../direct/call-group.js";
import {
  compressionNegotiate,
  createMethodSerializationLookup,
  grpcContentTypeJson,
  grpcContentTypeProto,
  grpcHeaderAcceptEncoding,
  type Serialization,
} from "../direct/connect-protocol.js";
import type { UnaryRoute } from "../direct/recording-router.js";
import type { JsonPayloads } from "../web/json-payloads.js";

/** The shared state of all calls of one method. */
export interface FastMethod {
  readonly route: UnaryRoute;
  readonly binary: FastFormat;
  readonly json: FastFormat;
  readonly calls: CallGroup;
  /** The compression of a request, and the one that its response may have. */
  negotiate(encoding: string | null, acceptEncoding: string | null): Negotiated;
}

/** One format of a method's messages. */
export interface FastFormat {
  readonly contentType: string;
  readonly input: Serialization<MessageShape<DescMessage>>;
  readonly output: Serialization<MessageShape<DescMessage>>;
}

type Negotiated = ReturnType<typeof compressionNegotiate>;

export function createFastMethod(route: UnaryRoute, payloads: JsonPayloads): FastMethod {
  const { spec, options } = route;
  const { binaryOptions, jsonOptions, acceptCompression, shutdownSignal } = options;
  const lookup = createMethodSerializationLookup(spec.method, binaryOptions, jsonOptions, options);
  const formatOf = (isBinary: boolean, contentType: string): FastFormat => ({
    contentType,
    input: lookup.getI(isBinary),
    output: lookup.getO(isBinary),
  });
  return {
    route,
    binary: formatOf(true, grpcContentTypeProto),
    json: writableBy(payloads, spec.method.output, formatOf(false, grpcContentTypeJson)),
    calls: createCallGroup(shutdownSignal),
    negotiate: rememberLast((encoding, acceptEncoding) =>
      compressionNegotiate(acceptCompression, encoding, acceptEncoding, grpcHeaderAcceptEncoding),
    ),
  };
}

/** A format in JSON whose messages may hold payloads of unregistered types. */
function writableBy(payloads: JsonPayloads, desc: DescMessage, format: FastFormat): FastFormat {
  const { output } = format;
  const serialize = (message: MessageShape<DescMessage>) =>
    output.serialize(payloads.writable(desc, message));
  return { ...format, output: { ...output, serialize } };
}

/** Clients of one server mostly ask for the same. An error has a stack, and is made anew. */
function rememberLast(negotiate: FastMethod["negotiate"]): FastMethod["negotiate"] {
  let lastEncoding: string | null | undefined;
  let lastAccept: string | null | undefined;
  let last: Negotiated | undefined;
  return (encoding, acceptEncoding) => {
    if (last !== undefined && encoding === lastEncoding && acceptEncoding === lastAccept) {
      return last;
    }
    const negotiated = negotiate(encoding, acceptEncoding);
    if (!(negotiated.error instanceof ConnectError)) {
      lastEncoding = encoding;
      lastAccept = acceptEncoding;
      last = negotiated;
    }
    return negotiated;
  };
}
