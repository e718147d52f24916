import { createInternedStrings, type InternedStrings } from "./interned-strings.js";
import { createOrderedIds } from "./ordered-ids.js";

/** The parents of all records, which can be found by a pattern. */
export interface ParentNames extends InternedStrings {
  /**
   * Returns the parents that match a pattern, whose segments `-` match any one segment (AIP-159).
   * Undefined if the search for all of them would take too long.
   */
  matching(pattern: string): readonly number[] | undefined;
}

/** Maximum numbers of parents that are compared with one pattern, and that match it. */
const maxLookedAt = 1000;
const maxMatching = 64;

export function createParentNames(): ParentNames {
  const strings = createInternedStrings();
  const byText = createOrderedIds((one, other) =>
    compareTexts(strings.textOf(one), strings.textOf(other)),
  );
  return {
    ...strings,
    retain(text) {
      const isNew = strings.idOf(text) === undefined;
      const id = strings.retain(text);
      if (isNew) byText.add(id);
      return id;
    },
    release(id) {
      if (strings.users(id) === 1) byText.remove(id);
      strings.release(id);
    },
    matching(pattern) {
      const segments = pattern.split("/");
      const fixed = segments.slice(0, segments.indexOf("-"));
      const prefix = fixed.map((segment) => `${segment}/`).join("");
      const next = byText.ascendFrom((id) => compareTexts(strings.textOf(id), prefix));
      const found: number[] = [];
      for (let lookedAt = 0; ; lookedAt += 1) {
        const id = next();
        if (id === undefined || !strings.textOf(id).startsWith(prefix)) return found;
        if (matchesParent(strings.textOf(id), pattern)) found.push(id);
        if (lookedAt === maxLookedAt || found.length > maxMatching) return undefined;
      }
    },
  };
}

/** Whether a parent's name matches a pattern in which some segments are `-`. */
export function matchesParent(parent: string, pattern: string): boolean {
  if (parent === "") return pattern === "";
  const segments = parent.split("/");
  const wanted = pattern.split("/");
  return (
    segments.length === wanted.length &&
    wanted.every((segment, at) => segment === "-" || segment === segments[at])
  );
}

function compareTexts(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
