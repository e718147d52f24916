import { type DescMessage, getOption, hasOption, type Message } from "@bufbuild/protobuf";
import { validate, version } from "uuid";
import { stringField } from "../internal/scalar-field.js";
import { FieldInfo_Format, field_info } from "../protos.js";
import type { StoredRequestId } from "../store/operation-store.js";
import { canonicalBytes } from "./canonical-bytes.js";
import { invalidField } from "./errors.js";
import { stringFieldOf } from "./request-fields.js";

/** A request id is a UUID (36 characters, AIP-155); others are taken up to this length. */
const maxRequestIdLength = 128;

/**
 * The AIP-155 request id of a request: its string field `request_id`. Undefined
 * where the message has no such field or the caller left it empty.
 *
 * @throws ConnectError `Code.InvalidArgument` for one of more than 128 characters, and for
 *   one that is no UUID4 where the field says that it is (`google.api.field_info`).
 */
export async function requestIdOf(
  schema: DescMessage,
  request: Message,
  scope: readonly string[],
  windowMs: number,
): Promise<StoredRequestId | undefined> {
  const id = stringFieldOf(schema, request, "request_id");
  if (id === undefined || id === "") return undefined;
  if (id.length > maxRequestIdLength) {
    throw invalidField("request_id", id, `must have at most ${maxRequestIdLength} characters`);
  }
  if (isUuid4Field(schema, "request_id") && !(validate(id) && version(id) === 4)) {
    throw invalidField("request_id", id, "must be a UUID of version 4");
  }
  const bytes = canonicalBytes(schema, request);
  const fingerprint = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { scope: JSON.stringify(scope), id, fingerprint, windowMs };
}

/** Whether the field's format is documented as UUID4. */
function isUuid4Field(schema: DescMessage, fieldName: string): boolean {
  const field = stringField(schema, fieldName);
  return (
    field !== undefined &&
    hasOption(field, field_info) &&
    getOption(field, field_info).format === FieldInfo_Format.UUID4
  );
}
