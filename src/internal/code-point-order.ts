/**
 * Compares two texts by code points. Returns a number below zero, zero or above zero. The
 * order equals the order of the UTF-8 bytes, and so the binary collations of databases.
 * JavaScript's own order differs: it puts U+FFFD after U+1F5A8.
 */
export function compareCodePoints(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return rank(a) - rank(b);
  }
  return one.length - other.length;
}

/** Ranks surrogates above all other code units, because they encode code points above U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
