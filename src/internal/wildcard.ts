/**
 * The pieces of a text between its wildcards `*`. Each `*` matches any number of characters:
 * `*.foo` is `["", ".foo"]`. A text without `*` is one piece.
 */
export type WildcardPieces = readonly string[];

/** Reads `*` as a wildcard. It cannot be escaped (AIP-160). */
export function wildcardPieces(text: string): WildcardPieces {
  return text.split("*");
}

/**
 * Whether the whole text matches. Each piece between two wildcards is matched at its first possible
 * place, which leaves the most room for the other pieces. So no match is tried twice, and the time
 * is linear in the lengths of the text and the pieces.
 */
export function matchesWildcard(pieces: WildcardPieces, text: string): boolean {
  const [first = "", ...rest] = pieces;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  const end = text.length - last.length;
  let from = first.length;
  for (const piece of rest) {
    const at = indexWithin(text, piece, from, end);
    if (at === -1) return false;
    from = at + piece.length;
  }
  return from <= end && text.endsWith(last);
}

/**
 * The first place of a piece in a part of the text, -1 for none, by Knuth, Morris and
 * Pratt: `indexOf` promises no linear time, and takes much more for long runs of one letter.
 */
function indexWithin(text: string, piece: string, from: number, end: number): number {
  if (piece === "") return from;
  const borders = bordersOf(piece);
  let matched = 0;
  for (let at = from; at < end; at += 1) {
    const unit = text.charCodeAt(at);
    while (matched > 0 && piece.charCodeAt(matched) !== unit) matched = borders[matched - 1] ?? 0;
    if (piece.charCodeAt(matched) === unit) matched += 1;
    if (matched === piece.length) return at - matched + 1;
  }
  return -1;
}

/** Returns, for each prefix of a piece, the length of its longest proper prefix that is also its suffix. */
function bordersOf(piece: string): Int32Array {
  const borders = new Int32Array(piece.length);
  let length = 0;
  for (let at = 1; at < piece.length; at += 1) {
    const unit = piece.charCodeAt(at);
    while (length > 0 && piece.charCodeAt(length) !== unit) length = borders[length - 1] ?? 0;
    if (piece.charCodeAt(length) === unit) length += 1;
    borders[at] = length;
  }
  return borders;
}
