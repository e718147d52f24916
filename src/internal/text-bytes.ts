const utf8 = new TextEncoder();

export function bytesOfText(text: string): Uint8Array<ArrayBuffer> {
  return utf8.encode(text);
}

/**
 * How many bytes a text is in UTF-8, without making them. Of a surrogate it is said that it is one
 * of a pair, as JSON.stringify leaves no others.
 */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7f) length += unit > 0x7ff && (unit & 0xf800) !== 0xd800 ? 2 : 1;
  }
  return length;
}
