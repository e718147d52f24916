import {
  clone,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { type ReflectMap, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { validate, version } from "uuid";
import { scalarField } from "../internal/scalar-field.js";
import { FieldInfo_Format, field_info } from "../protos.js";
import type { StoredRequestId } from "../store/operation-store.js";
import { invalidField } from "./errors.js";
import { stringFieldOf } from "./request-fields.js";

/** A request id is a UUID (36 characters, AIP-155); other texts are accepted up to this length. */
const maxRequestIdLength = 128;

/**
 * Returns the AIP-155 request id of a request: its string field `request_id`. Undefined if the
 * message has no such field or the field is empty.
 *
 * @throws ConnectError `Code.InvalidArgument` for an id of more than 128 characters, and for an id
 *   that is not a UUID4 if the field's format is UUID4 (`google.api.field_info`).
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

/** Whether the format of the field is UUID4 (`google.api.field_info`). */
function isUuid4Field(schema: DescMessage, fieldName: string): boolean {
  const field = scalarField(schema, fieldName, ScalarType.STRING);
  return (
    field !== undefined &&
    hasOption(field, field_info) &&
    getOption(field, field_info).format === FieldInfo_Format.UUID4
  );
}

/**
 * Encodes a message with the entries of its maps in one fixed order. Some clients encode the same
 * map in another order each time.
 */
export function canonicalBytes(schema: DescMessage, message: Message): Uint8Array<ArrayBuffer> {
  const ordered = clone(schema, message);
  sortMaps(reflect(schema, ordered));
  return Uint8Array.from(toBinary(schema, ordered));
}

function sortMaps(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === "message") {
      sortMaps(message.get(field));
    } else if (field.fieldKind === "list" && field.listKind === "message") {
      for (const item of message.get(field)) sortMaps(item as ReflectMessage);
    } else if (field.fieldKind === "map") {
      const map = message.get(field);
      if (field.mapKind === "message") {
        for (const value of map.values()) sortMaps(value as ReflectMessage);
      }
      sortMap(map);
    }
  }
}

function sortMap(map: ReflectMap): void {
  const entries = [...map.entries()].sort(([one], [other]) =>
    String(one) < String(other) ? -1 : 1,
  );
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}
