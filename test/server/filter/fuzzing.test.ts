import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { parseFilter } from "../../../src/server/filter/parse-filter.js";
import { standardDetailsOf } from "../../../src/status/index.js";
import { matchesFilter } from "../../../src/store/index.js";
import { baking, failed, filterMethods } from "../../support/filter-record.js";

const records = [
  baking({ baker: "Anna", tags: ["x"], labels: { a: "b" }, notes: { a: [1] } }),
  failed({ code: 5, message: "no" }),
];

/** The longest that reading and evaluating one filter may take, in milliseconds. */
const longestMs = 50;

/**
 * Read a filter and evaluate it. Fails for anything but an answer or INVALID_ARGUMENT in
 * time; of three times the shortest counts, as the machine may have been busy otherwise.
 */
function tryOut(text: string): "answered" | "refused" {
  let shortestMs = Number.POSITIVE_INFINITY;
  for (let run = 0; ; run += 1) {
    const start = performance.now();
    const outcome = outcomeOf(text);
    shortestMs = Math.min(shortestMs, performance.now() - start);
    if (shortestMs <= longestMs) return outcome;
    if (run === 2) throw new Error(`${shortestMs} ms for ${JSON.stringify(text.slice(0, 200))}`);
  }
}

function outcomeOf(text: string): "answered" | "refused" {
  try {
    const filter = parseFilter(text, filterMethods);
    if (filter !== undefined) for (const record of records) matchesFilter(filter, record);
    return "answered";
  } catch (error) {
    const isRefusal = error instanceof ConnectError && error.code === Code.InvalidArgument;
    const { errorInfo } = isRefusal ? standardDetailsOf(error) : { errorInfo: undefined };
    const position = Number(errorInfo?.metadata.position);
    if (!isRefusal || !(position >= 1 && position <= text.length + 1)) {
      throw new Error(`the filter ${JSON.stringify(text)} failed otherwise`, { cause: error });
    }
    return "refused";
  }
}

/** Numbers below `limit`, the same in each run (mulberry32). */
function createRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

// On a machine that is busy otherwise it takes some times longer than its 6 s.
describe("parseFilter under fire", { timeout: 60_000 }, () => {
  it("answers or refuses 10 MB of random bytes, at once and in pieces of every length", () => {
    const random = createRandom(160);
    const bytes = Uint8Array.from({ length: 10_000_000 }, () => random(256));
    const text = new TextDecoder("latin1").decode(bytes);
    expect(tryOut(text)).toBe("refused");
    let tried = 0;
    while (tried < text.length) {
      const length = 1 + random(8192);
      tryOut(text.slice(tried, tried + length));
      tried += length;
    }
    expect(tried).toBeGreaterThanOrEqual(text.length);
  });

  it("answers or refuses 100,000 mutated filters", () => {
    const random = createRandom(392);
    const pick = <T>(items: readonly [T, ...T[]]): T => items[random(items.length)] ?? items[0];
    const seeds = [
      "done = true AND (metadata.count > 3 OR metadata.loaf.number != -1)",
      'NOT metadata.baker = "A*" -metadata.labels.env:x metadata.tags:(a OR b)',
      "error.code = (NOT_FOUND OR 7) AND error.details.reason:OUT_OF_FLOUR",
      "create_time > 2026-01-02T03:04:05.5-04:00 metadata.remaining <= 1.5s",
      "metadata.notes.in.deep:1 AND metadata.shelf.3.number = 33 Anna 'Hugo'",
      'metadata.hot_since < "2026-01-02T03:04:05Z" OR method = "*/Bake" AND end_time:*',
    ] as const;
    const pieces = [
      "(",
      ")",
      " ",
      "\\",
      '"',
      "'",
      "-",
      ".",
      ",",
      ":",
      "=",
      "!",
      "<",
      "*",
      "NOT ",
      " OR ",
      " AND ",
      "metadata",
      "1e9",
      "\u0000",
      "🖨",
      "\u2028",
      "f(",
    ] as const;
    const counts = { answered: 0, refused: 0 };
    for (let run = 0; run < 100_000; run += 1) {
      let text: string = pick(seeds);
      for (let edits = 1 + random(4); edits > 0; edits -= 1) {
        const at = random(text.length + 1);
        const cut = random(3) === 0 ? random(12) : random(2);
        const insert = random(4) === 0 ? pick(seeds).slice(random(40)) : pick(pieces);
        text = text.slice(0, at) + (random(3) === 0 ? "" : insert) + text.slice(at + cut);
      }
      counts[tryOut(text)] += 1;
    }
    // Both happen often, so both are tried.
    expect(counts.answered).toBeGreaterThan(5000);
    expect(counts.refused).toBeGreaterThan(5000);
  });

  it.each([
    ["parentheses", "(".repeat(4096)],
    ["negations", "-(".repeat(2048)],
    ["a path", `metadata${".loaf.below".repeat(200)}${".below".repeat(300)}:*`],
    ["keys", `metadata.notes${".a".repeat(2000)}:1`],
    ["wildcards", `metadata.baker = "${"*a".repeat(2000)}"`],
    ["one string", `"${"\\\\".repeat(2000)}"`],
    ["a quote that is never closed", `"${"\\\\".repeat(2040)}`],
    ["dots", `a${".a".repeat(2047)}`],
    ["a hundred details", Array(100).fill("error.details.metadata.a:b").join(" ")],
    ["digits", `metadata.count = ${"9".repeat(4000)}`],
    ["a fraction", `metadata.degrees = 0.${"9".repeat(4000)}`],
    ["spaces", " ".repeat(4096)],
  ])("answers or refuses a filter full of %s in time", (_, text) => {
    expect(["answered", "refused"]).toContain(tryOut(text));
  });
});
