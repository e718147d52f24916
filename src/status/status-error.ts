import { create, isMessage, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { typeNameFromUrl, typeUrlPrefix } from "../internal/type-url.js";
import { type Status, StatusSchema } from "../protos.js";
import { codeFromNumber } from "./code.js";

type Detail = ConnectError["details"][number];

/**
 * The ConnectError that a google.rpc.Status stands for. Every detail is kept
 * with its bytes and its type URL, also one of a type that nobody here knows.
 *
 * A code that is none, and 0 (OK), which no error may have, becomes
 * `Code.Unknown`.
 */
export function errorFromStatus(status: Status): ConnectError {
  const code = codeFromNumber(status.code) ?? Code.Unknown;
  const error = new ConnectError(status.message, code);
  error.details = status.details.map(detailFromAny);
  return error;
}

/**
 * The google.rpc.Status of an error, with all of its details: the inverse of
 * `errorFromStatus`, byte for byte.
 *
 * Headers, trailers and `cause` have no place in a Status and stay behind. A code that
 * is none, 0 (OK) among them, becomes UNKNOWN.
 */
export function statusFromError(error: ConnectError): Status {
  return create(StatusSchema, {
    code: codeFromNumber(error.code) ?? Code.Unknown,
    message: error.rawMessage,
    details: error.details.map(anyFromDetail),
  });
}

/**
 * Connect keeps the type name of an incoming detail and not its URL. The URL
 * rides along, so that a Status that passes through here loses nothing.
 */
function detailFromAny(any: Any): Detail & { typeUrl: string } {
  return { type: typeNameFromUrl(any.typeUrl), value: any.value, typeUrl: any.typeUrl };
}

function anyFromDetail(detail: Detail): Any {
  if ("desc" in detail) {
    const message = isMessage(detail.value, detail.desc)
      ? detail.value
      : create(detail.desc, detail.value);
    return create(AnySchema, {
      typeUrl: typeUrlPrefix + detail.desc.typeName,
      value: toBinary(detail.desc, message),
    });
  }
  const typeUrl =
    "typeUrl" in detail && typeof detail.typeUrl === "string"
      ? detail.typeUrl
      : typeUrlPrefix + detail.type;
  return create(AnySchema, { typeUrl, value: detail.value });
}
