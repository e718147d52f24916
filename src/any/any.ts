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
 * Packs a message, or its fields, as an Any with the `type.googleapis.com/` prefix.
 *
 * @throws TypeError if the message has another type than `schema`, which the compiler cannot detect
 *   for a schema that is known at run time only.
 * @example
 * const metadata = pack(PrintMetadataSchema, { pagesPrinted: 3 });
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

/** Returns the full name of the message in an Any, without the prefix of its type URL. */
export function typeNameOf(any: Any): string {
  return typeNameFromUrl(any.typeUrl);
}

/**
 * Unpacks an Any of an expected type. Only the name after the last `/` of the type URL is compared.
 * Bytes of another type are never decoded as `schema`.
 *
 * @throws ConnectError INTERNAL, reason `UNEXPECTED_TYPE`, if the Any has another type.
 * @throws ConnectError INTERNAL, reason `MALFORMED_PAYLOAD`, if its bytes cannot be decoded.
 * @example
 * const { pagesPrinted } = unpackAs(metadata, PrintMetadataSchema);
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
 * Unpacks an Any of any type in a registry (`createRegistry` of Protobuf-ES makes one). Returns
 * undefined if the registry does not have the type.
 *
 * @throws ConnectError INTERNAL, reason `MALFORMED_PAYLOAD`, if its bytes cannot be decoded.
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
