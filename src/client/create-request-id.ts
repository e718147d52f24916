/**
 * Returns a new request id: a UUID of version 4 (AIP-155, RFC 9562 section 5.4).
 * `crypto.randomUUID` is not used, because browsers offer it only to pages in secure contexts.
 */
export function createRequestId(): string {
  const random = crypto.getRandomValues(new Uint8Array(36));
  // The two highest bits of the digit `v` (the variant of the UUID) are 10.
  return "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx".replace(/[xv]/g, (digit, at: number) => {
    const value = (random[at] ?? 0) % 16;
    return (digit === "v" ? 8 + (value % 4) : value).toString(16);
  });
}
