import type { Compression } from "../direct/connect-protocol.js";

/**
 * Returns the compression that an Accept-Encoding header prefers; among equal preferences, the
 * first one in this package's order. Returns undefined if the header accepts none of them (RFC
 * 9110, section 12.5.3).
 */
export function negotiateCompression(
  accepted: string | null,
  available: readonly Compression[],
): Compression | undefined {
  if (accepted === null || available.length === 0) return undefined;
  const weights = new Map<string, number>();
  for (const part of accepted.toLowerCase().split(",")) {
    const [, name, q = "1"] = /^\s*([^\s;]+)\s*(?:;\s*q=([\d.]{1,6}))?\s*$/.exec(part) ?? [];
    if (name !== undefined) weights.set(name, Number(q));
  }
  const weightOf = ({ name }: Compression) => weights.get(name) ?? weights.get("*") ?? 0;
  const [best] = available.toSorted((one, other) => weightOf(other) - weightOf(one));
  return best !== undefined && weightOf(best) > 0 ? best : undefined;
}
