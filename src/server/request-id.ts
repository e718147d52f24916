import type { DescMessage, Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { stringField } from "../internal/string-field.js";
import type { StoredRequestId } from "../store/operation-store.js";
import { canonicalBytes } from "./canonical-bytes.js";
import { invalidField } from "./errors.js";

/** A request id is a UUID (36 characters, AIP-155); others are taken up to this length. */
const maxRequestIdLength = 128;

/**
 * The AIP-155 request id of a request: its string field `request_id`. Undefined
 * where the message has no such field or the caller left it empty.
 *
 * @throws ConnectError `Code.InvalidArgument` for one of more than 128 characters.
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
  const bytes = canonicalBytes(schema, request);
  const fingerprint = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { scope: JSON.stringify(scope), id, fingerprint, windowMs };
}

/** The value of a singular string field by its name in the .proto; undefined where there is none. */
export function stringFieldOf(
  schema: DescMessage,
  message: Message,
  fieldName: string,
): string | undefined {
  const field = stringField(schema, fieldName);
  const value: unknown = field && reflect(schema, message).get(field);
  return typeof value === "string" ? value : undefined;
}
