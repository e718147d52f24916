import { v7 as uuidv7 } from "uuid";
import { formatOperationName, type OperationName, parseOperationName } from "../operation/name.js";
import { invalidField } from "./errors.js";

/** An id that is safe in a host name (AIP-122), except that it may begin with a digit. */
const dnsSafeId = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** The number of random bytes in a UUID. */
const idBytes = 16;

/** Filled for many names at a time: one call for each name takes longer than the rest of the name. */
const random = new Uint8Array(256 * idBytes);
let usedRandom = random.byteLength;

/**
 * Returns the name of a new operation and its parent: the given name, or else the parent and a
 * UUIDv7.
 *
 * @throws ConnectError `Code.InvalidArgument` if the name or the parent is not valid.
 */
export function newOperationName(
  given: string | undefined,
  parent: string,
): OperationName & { name: string } {
  if (given === undefined) {
    const name = formatOperationName({ parent, id: uuidv7({ random: randomBytes() }) });
    const parsed = parseOperationName(name);
    if (parsed !== undefined) return { ...parsed, name };
    throw invalidField("parent", parent, "must be a resource name of at most 976 bytes");
  }
  const parsed = parseOperationName(given);
  if (parsed !== undefined && dnsSafeId.test(parsed.id)) return { ...parsed, name: given };
  throw invalidField(
    "name",
    given,
    'must have the form "{parent/}operations/{id}", the id at most 63 lower-case letters, digits and hyphens',
  );
}

function randomBytes(): Uint8Array {
  if (usedRandom === random.byteLength) {
    crypto.getRandomValues(random);
    usedRandom = 0;
  }
  usedRandom += idBytes;
  return random.subarray(usedRandom - idBytes, usedRandom);
}
