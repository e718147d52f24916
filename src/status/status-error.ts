import { create, isMessage, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { typeNameFromUrl, typeUrlPrefix } from "../internal/type-url.js";
import { type Status, StatusSchema } from "../protos.js";
import { codeFromNumber } from "./code.js";

type Detail = ConnectError["details"][number];

/**
 * Returns the ConnectError of a google.rpc.Status. It keeps the bytes and the type URL of every detail,
 * including details of unknown types. An invalid code, including 0 (OK), becomes `Code.Unknown`.
 *
 * @example
 * if (operation.result.case === "error") throw errorFromStatus(operation.result.value);
 */
export function errorFromStatus(status: Status): ConnectError {
  const code = codeFromNumber(status.code) ?? Code.Unknown;
  const error = new ConnectError(status.message, code);
  error.details = status.details.map(detailFromAny);
  return error;
}

/**
 * Returns the google.rpc.Status of an error with its details, the inverse of `errorFromStatus`. A
 * Status has no headers, trailers and `cause`. An invalid code, including 0 (OK), becomes UNKNOWN.
 */
export function statusFromError(error: ConnectError): Status {
  return create(StatusSchema, {
    code: codeFromNumber(error.code) ?? Code.Unknown,
    message: error.rawMessage,
    details: error.details.map(anyFromDetail),
  });
}

/** Keeps the type URL in addition to Connect's type name, so that `statusFromError` restores it. */
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
