/** The two parts of an operation's name. */
export interface OperationName {
  /** The name of the operation's parent resource; empty for `operations/{id}`. */
  parent: string;
  /** The last segment; never empty. */
  id: string;
}

/** Longest operation name, in UTF-8 bytes. Names are sent in headers and trailers. */
export const maxNameBytes = 1024;

const collection = "operations";
const wildcard = "-";
const utf8 = new TextEncoder();

/**
 * Returns the parts of `{parent/}operations/{id}`. Returns undefined if the name has another form, an
 * empty segment, a segment `-`, which is a wildcard in lists (AIP-159), a control character, or more
 * than 1024 bytes in UTF-8 (AIP-122).
 */
export function parseOperationName(name: string): OperationName | undefined {
  if (!isResourceName(name)) return undefined;
  const segments = name.split("/");
  const id = segments.pop();
  if (id === undefined || segments.pop() !== collection) return undefined;
  if (id === wildcard || segments.includes(wildcard)) return undefined;
  return { parent: segments.join("/"), id };
}

/** Returns `{parent/}operations/{id}`. Does not check the parts. */
export function formatOperationName({ parent, id }: OperationName): string {
  return parent === "" ? `${collection}/${id}` : `${parent}/${collection}/${id}`;
}

/**
 * Returns the parent in the `name` of a ListOperationsRequest. Services bind it in three ways, and
 * all are accepted: empty or `operations` (the parent is empty), `{parent}`, and
 * `{parent}/operations`. A segment `-` matches any segment (AIP-159). Returns undefined if the name
 * is malformed.
 */
export function parseListName(name: string): string | undefined {
  if (name === "" || name === collection) return "";
  if (!isResourceName(name)) return undefined;
  const suffix = `/${collection}`;
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

/** Whether a text is a resource name: segments between single slashes (AIP-122). */
export function isResourceName(name: string): boolean {
  if (name === "" || name.length > maxNameBytes) return false;
  // A UTF-16 code unit takes at most three bytes, so most names need no encoding.
  if (name.length * 3 > maxNameBytes && utf8.encode(name).length > maxNameBytes) return false;
  if (/\p{Cc}/u.test(name)) return false;
  return !name.startsWith("/") && !name.endsWith("/") && !name.includes("//");
}
