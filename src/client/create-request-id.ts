/**
 * A new request id: a UUID of version 4 (AIP-155, RFC 9562 section 5.4). Not by
 * `crypto.randomUUID`, which browsers give to pages of secure contexts only.
 */
export function createRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  // The version and the variant, each in the upper bits of its byte.
  bytes[6] = 0x40 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
