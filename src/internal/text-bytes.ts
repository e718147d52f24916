const utf8 = new TextEncoder();

export function bytesOfText(text: string): Uint8Array<ArrayBuffer> {
  return utf8.encode(text);
}

/**
 * Returns how many bytes a text has in UTF-8, without encoding it. It counts a surrogate as half of
 * a pair, because JSON.stringify leaves no lone surrogates.
 */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7f) length += unit > 0x7ff && (unit & 0xf800) !== 0xd800 ? 2 : 1;
  }
  return length;
}
