import { v7 as uuidv7 } from "uuid";
import { formatOperationName, type OperationName, parseOperationName } from "../operation/name.js";
import { invalidField } from "./errors.js";

/** An id that is safe in a host name, as AIP-122 has it but for a digit that it may begin with. */
const dnsSafeId = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** How many random bytes a UUID wants. */
const idBytes = 16;

/** Asked for many at a time: to ask for each takes longer than all else of a name. */
const random = new Uint8Array(256 * idBytes);
let usedRandom = random.byteLength;

/**
 * The name of an operation that starts, and its parent: what was given, or else a UUIDv7
 * below the parent.
 *
 * @throws ConnectError `Code.InvalidArgument` for what is no name.
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
