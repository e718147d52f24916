/**
 * Which of two texts comes first, by code points: below zero, zero or above. The same
 * order as that of their UTF-8 bytes, and so as that of databases' binary collations;
 * JavaScript's own puts U+FFFD after U+1F5A8.
 */
export function compareCodePoints(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return rank(a) - rank(b);
  }
  return one.length - other.length;
}

/** Surrogates stand for what is above U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
