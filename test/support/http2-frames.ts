/** The connection preface of HTTP/2, with empty settings (RFC 9113, section 3.4); Latin-1. */
export const http2Preface = `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0`;

/**
 * A HEADERS frame that ends its headers and not its stream (RFC 9113, section 6.2); Latin-1.
 * Names and values of at most 126 bytes, literal and not indexed (RFC 7541, section 6.2.2).
 */
export function http2Headers(streamId: number, headers: Readonly<Record<string, string>>): string {
  const text = (value: string) => String.fromCharCode(value.length) + value;
  const block = Object.entries(headers)
    .map(([name, value]) => `\0${text(name)}${text(value)}`)
    .join("");
  const head = Buffer.alloc(9);
  head.writeUIntBE(block.length, 0, 3);
  head.writeUInt8(1, 3);
  head.writeUInt8(4, 4);
  head.writeUInt32BE(streamId, 5);
  return head.toString("latin1") + block;
}
