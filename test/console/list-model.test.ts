import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  emptyList,
  type ListModel,
  type NamedRow,
  pagesAt,
  withNextPage,
  withPageAgain,
  withRow,
} from "../../src/console/app/list-model.js";

const rows = (...names: readonly string[]): NamedRow[] => names.map((name) => ({ name }));
const namesOf = (list: ListModel<NamedRow>) => list.rows.map(({ name }) => name);
const twoPages = withNextPage(
  withNextPage<NamedRow>(emptyList, rows("a", "b"), "2"),
  rows("c", "d"),
  "3",
);

describe("a loaded list", () => {
  it("keeps the rows that new operations push past the end of a page", () => {
    const list = withPageAgain(twoPages, 0, rows("new", "a"), "after-a");
    expect(namesOf(list)).toEqual(["new", "a", "b", "c", "d"]);
    expect(list.pages.map(({ token }) => token)).toEqual(["", "after-a", "2"]);
    expect(list.nextToken).toBe("3");
  });

  it("drops deleted rows and moves later ones up, none twice", () => {
    const list = withPageAgain(twoPages, 0, rows("b", "c"), "after-c");
    expect(namesOf(list)).toEqual(["b", "c", "d"]);
  });

  it("ends where the server says that it ends", () => {
    const list = withPageAgain(twoPages, 0, rows("a"), "");
    expect(namesOf(list)).toEqual(["a"]);
    expect(list.nextToken).toBeUndefined();
  });

  it("goes on after its last page by the newest token", () => {
    expect(withPageAgain(twoPages, 1, rows("c", "d"), "4").nextToken).toBe("4");
    expect(withPageAgain(twoPages, 0, rows("a", "b"), "9").nextToken).toBe("3");
  });

  it("finds the pages of the visible rows", () => {
    expect(pagesAt(twoPages, 0, 1)).toEqual([0]);
    expect(pagesAt(twoPages, 1, 2)).toEqual([0, 1]);
    expect(pagesAt(twoPages, 90, 99)).toEqual([0]);
    expect(pagesAt(emptyList, 0, 5)).toEqual([]);
  });

  it("replaces and removes single rows", () => {
    expect(namesOf(withRow(twoPages, "b", undefined))).toEqual(["a", "c", "d"]);
    expect(withRow(twoPages, "x", undefined)).toBe(twoPages);
  });

  it("shows the server's list after every page was loaded again, whatever changed", () => {
    const pageSize = 3;
    const change = fc.record({
      added: fc.integer({ min: 0, max: 4 }),
      removed: fc.array(fc.nat(20), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.nat(12), fc.array(change, { maxLength: 6 }), (count, changes) => {
        // The newest operation has the highest number and comes first, as on our servers.
        let next = count;
        let server = Array.from({ length: count }, (_, at) => count - 1 - at);
        const fetch = (token: string) => {
          const from = token === "" ? Number.POSITIVE_INFINITY : Number(token);
          const after = server.filter((number) => number < from);
          const page = after.slice(0, pageSize);
          const hasMore = after.length > pageSize;
          return { rows: rows(...page.map(String)), token: hasMore ? String(page.at(-1)) : "" };
        };
        const first = fetch("");
        let list = withNextPage<NamedRow>(emptyList, first.rows, first.token);
        while (list.nextToken !== undefined) {
          const page = fetch(list.nextToken);
          list = withNextPage(list, page.rows, page.token);
        }
        for (const { added, removed } of changes) {
          server = server.filter((number) => !removed.includes(number));
          for (let at = 0; at < added; at += 1) server = [next++, ...server];
          for (let at = 0; at < list.pages.length; at += 1) {
            const page = fetch(list.pages[at]?.token ?? "");
            list = withPageAgain(list, at, page.rows, page.token);
          }
          while (list.nextToken !== undefined) {
            const page = fetch(list.nextToken);
            list = withNextPage(list, page.rows, page.token);
          }
          expect(namesOf(list)).toEqual(server.map(String));
        }
      }),
    );
  });
});
