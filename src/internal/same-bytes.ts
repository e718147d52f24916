/** Whether two byte strings are equal. Not for secrets: it stops at the first difference. */
export function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
