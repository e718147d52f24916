import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { typeNameFromUrl, typeUrlPrefix } from "../internal/type-url.js";
import { errorWithInfo } from "../status/error-info.js";

/**
 * Pack a message, or the fields of one, as an Any with the usual
 * `type.googleapis.com/` prefix.
 *
 * @throws TypeError for a message of another type than `schema`, which the compiler
 *   does not see where the type is known at run time only.
 */
export function pack<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Any {
  const typeName: unknown = "$typeName" in message ? message.$typeName : schema.typeName;
  if (typeName !== schema.typeName) {
    throw new TypeError(`a ${String(typeName)} cannot be packed as ${schema.typeName}`);
  }
  return create(AnySchema, {
    typeUrl: typeUrlPrefix + schema.typeName,
    value: toBinary(schema, create(schema, message)),
  });
}

/** The full name of the message that an Any holds, without its URL's prefix. */
export function typeNameOf(any: Any): string {
  return typeNameFromUrl(any.typeUrl);
}

/**
 * Unpack an Any that must hold this very type. Bytes of another type are never
 * read as this one; what stands before the last `/` of the URL does not count.
 *
 * @throws ConnectError `Code.Internal`, as it is the sender that broke its word:
 *   reason `UNEXPECTED_TYPE` for another type, `MALFORMED_PAYLOAD` for bytes that
 *   cannot be read.
 */
export function unpackAs<Desc extends DescMessage>(any: Any, schema: Desc): MessageShape<Desc> {
  if (typeNameOf(any) !== schema.typeName) throw unexpectedType(any, schema.typeName);
  try {
    return fromBinary(schema, any.value);
  } catch (cause) {
    throw malformedPayload(any, cause);
  }
}

/**
 * Unpack an Any of whatever type the registry knows (`createRegistry` of
 * Protobuf-ES makes one); undefined where it does not know the type.
 *
 * @throws ConnectError `Code.Internal`, reason `MALFORMED_PAYLOAD`, for bytes
 *   that cannot be read.
 */
export function unpackWith(any: Any, registry: Registry): Message | undefined {
  const schema = registry.getMessage(typeNameOf(any));
  return schema && unpackAs(any, schema);
}

function unexpectedType(any: Any, expected: string): ConnectError {
  return errorWithInfo(
    Code.Internal,
    `expected a payload of type ${expected}, but it is "${any.typeUrl}"`,
    { reason: "UNEXPECTED_TYPE", metadata: { expected, typeUrl: any.typeUrl } },
  );
}

function malformedPayload(any: Any, cause: unknown): ConnectError {
  return errorWithInfo(
    Code.Internal,
    `the payload of type ${typeNameOf(any)} (${any.value.length} bytes) cannot be read`,
    {
      reason: "MALFORMED_PAYLOAD",
      metadata: { typeUrl: any.typeUrl, bytes: String(any.value.length) },
      cause,
    },
  );
}
