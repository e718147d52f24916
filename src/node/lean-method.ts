import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import {
  compressionNegotiate,
  createMethodSerializationLookup,
  type Serialization,
  type UniversalHandlerOptions,
  validateUniversalHandlerOptions,
} from "@connectrpc/connect/protocol";
import {
  contentTypeJson,
  contentTypeProto,
  headerAcceptEncoding,
} from "@connectrpc/connect/protocol-grpc";
import { type AbortGroup, createAbortGroup } from "./abort-group.js";
import type { UnaryImplSpec, UnaryRoute } from "./unary-route.js";

/** All that the calls of one method have in common. */
export interface LeanMethod {
  readonly spec: UnaryImplSpec;
  readonly options: UniversalHandlerOptions;
  /** Undefined where there is no wire form, or where an interceptor wants the message. */
  readonly wireAnswers: UnaryRoute["wireAnswers"];
  readonly binary: LeanFormat;
  readonly json: LeanFormat;
  /** Calls under way, which abort with the shutdown signal. */
  readonly shutdown: AbortGroup;
  /** Which compression a request has, and which one its answer may have. */
  negotiate(encoding: string | null, acceptEncoding: string | null): Negotiated;
}

/** One format of a method's messages. */
export interface LeanFormat {
  readonly contentType: string;
  readonly input: Serialization<MessageShape<DescMessage>>;
  readonly output: Serialization<MessageShape<DescMessage>>;
}

type Negotiated = ReturnType<typeof compressionNegotiate>;

/**
 * @param routerOptions hold where the route has none of its own.
 * @throws ConnectError for options out of Connect's bounds.
 */
export function createLeanMethod(
  { spec, wireAnswers, options: own }: UnaryRoute,
  routerOptions: Partial<UniversalHandlerOptions>,
): LeanMethod {
  // As Connect's router merges them.
  const options = validateUniversalHandlerOptions({
    ...validateUniversalHandlerOptions(routerOptions),
    ...own,
  });
  const { binaryOptions, jsonOptions, acceptCompression, interceptors, shutdownSignal } = options;
  const lookup = createMethodSerializationLookup(spec.method, binaryOptions, jsonOptions, options);
  const formatOf = (isBinary: boolean, contentType: string): LeanFormat => ({
    contentType,
    input: lookup.getI(isBinary),
    output: lookup.getO(isBinary),
  });
  return {
    spec,
    options,
    wireAnswers: interceptors.length === 0 ? wireAnswers : undefined,
    binary: formatOf(true, contentTypeProto),
    json: formatOf(false, contentTypeJson),
    shutdown: createAbortGroup(shutdownSignal),
    negotiate: rememberLast((encoding, acceptEncoding) =>
      compressionNegotiate(acceptCompression, encoding, acceptEncoding, headerAcceptEncoding),
    ),
  };
}

/** Clients of one server mostly ask for the same. An error has a stack, and is made anew. */
function rememberLast(negotiate: LeanMethod["negotiate"]): LeanMethod["negotiate"] {
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
