/** An operation's name in its two parts. */
export interface OperationName {
  /** The resource that the operation belongs to; empty for `operations/{id}`. */
  parent: string;
  /** The last segment; never empty. */
  id: string;
}

/** The longest name that is accepted, in UTF-8 bytes: names travel in headers and trailers. */
export const maxNameBytes = 1024;

const collection = "operations";
const wildcard = "-";
const utf8 = new TextEncoder();

/**
 * The parts of `{parent/}operations/{id}`, undefined where the name has another
 * form: an empty segment, a segment `-`, which stands for any in lists (AIP-159), a
 * control character, or more than 1024 bytes in UTF-8 (AIP-122).
 */
export function parseOperationName(name: string): OperationName | undefined {
  if (!isResourceName(name)) return undefined;
  const segments = name.split("/");
  const id = segments.pop();
  if (id === undefined || segments.pop() !== collection) return undefined;
  if (id === wildcard || segments.includes(wildcard)) return undefined;
  return { parent: segments.join("/"), id };
}

/** `{parent/}operations/{id}`; both are taken as they are. */
export function formatOperationName({ parent, id }: OperationName): string {
  return parent === "" ? `${collection}/${id}` : `${parent}/${collection}/${id}`;
}

/**
 * The parent that a ListOperationsRequest means. Services bind its `name` in
 * three ways, all accepted: empty or `operations` (the parent is empty),
 * `{parent}`, and `{parent}/operations`. A segment `-` stands for any one (AIP-159).
 * Undefined where it is no name at all.
 */
export function parseListName(name: string): string | undefined {
  if (name === "" || name === collection) return "";
  if (!isResourceName(name)) return undefined;
  const suffix = `/${collection}`;
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

/** Whether this is a resource name: segments between single slashes (AIP-122). */
export function isResourceName(name: string): boolean {
  if (name === "" || name.length > maxNameBytes) return false;
  // A character takes at most three bytes, so that most names need no counting.
  if (name.length * 3 > maxNameBytes && utf8.encode(name).length > maxNameBytes) return false;
  if (/\p{Cc}/u.test(name)) return false;
  return !name.startsWith("/") && !name.endsWith("/") && !name.includes("//");
}
