import type { OperationFilter } from "../../store/operation-filter.js";
import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, type ContractCase } from "../contract.js";
import {
  finished,
  insertAll,
  inserted,
  namesOfWalk,
  newOperation,
  newParent,
  storeCase,
} from "./store-case.js";

const noBytes = new Uint8Array();

/** Lists over several parents, with `-` as a segment (AIP-159). */
export const wildcardListCases: readonly ContractCase<OperationStore>[] = [
  storeCase("server 51: lists across parents, newest first, page by page", async (store) => {
    const root = newParent();
    const names: string[] = [];
    for (const shelf of ["a", "b", "a", "c", "b", "b", "a"]) {
      const parent = `${root}/shelves/${shelf}`;
      names.unshift((await inserted(store, newOperation({ parent }))).name);
    }
    for (const limit of [1, 2, 3, 7, 100]) {
      const walk = await namesOfWalk(store, `${root}/shelves/-`, limit);
      assertSame(walk.join(), names.join(), `a walk by ${limit}`);
    }
  }),
  storeCase("server 51: a - stands for one segment, wherever it is", async (store) => {
    const root = newParent();
    const parents = ["shelves/a", "shelves/a/books/x", "racks/a", "shelves/b/books/y", "racks"];
    const nameIn = new Map<string, string>();
    for (const parent of parents) {
      const { name } = await inserted(store, newOperation({ parent: `${root}/${parent}` }));
      nameIn.set(parent, name);
    }
    await inserted(store, newOperation({ parent: root }));
    for (const [wildcard, matching] of [
      ["shelves/-", ["shelves/a"]],
      ["-/a", ["racks/a", "shelves/a"]],
      ["-", ["racks"]],
      ["-/-", ["racks/a", "shelves/a"]],
      ["shelves/-/books/-", ["shelves/b/books/y", "shelves/a/books/x"]],
      ["shelves/-/books/x", ["shelves/a/books/x"]],
      ["shelves/-/books", []],
    ] as const) {
      const walk = await namesOfWalk(store, `${root}/${wildcard}`, 2);
      const expected = matching.map((parent) => nameIn.get(parent));
      assertSame(walk.join(), expected.join(), `the list of ${wildcard}`);
    }
  }),
  storeCase(
    "server 53: how much others have stored shows in no list of one's own",
    async (store) => {
      const root = newParent();
      const parent = `${root}/shelves/a`;
      const mine = await inserted(store, newOperation({ parent, principal: "users/ann" }));
      // The number exceeds the rows that any store scans for one page.
      const theirs = Array.from({ length: 10_001 }, () =>
        newOperation({ parent, principal: "users/bob", request: noBytes }),
      );
      await insertAll(store, theirs);
      const list = (listed: string, principal: string, filter?: OperationFilter) =>
        store.list({ parent: listed, principal, filter, after: undefined, limit: 10 });
      for (const listed of [parent, `${root}/shelves/-`]) {
        for (const filter of [undefined, { kind: "done" as const, value: false }]) {
          const page = await list(listed, "users/ann", filter);
          assertSame(
            page.records.map(({ name }) => name).join(),
            mine.name,
            "the one of one's own",
          );
          assertSame(page.next, undefined, "where one's own list goes on");
          const empty = await list(listed, "users/carl", filter);
          assertSame(empty.records.length, 0, "number of operations of one who started none");
          assertSame(empty.next, undefined, "where an empty list goes on");
        }
      }
    },
  ),
  storeCase("keeps to the filter and the principal across parents", async (store) => {
    const root = newParent();
    const mine = { parent: `${root}/shelves/a`, principal: "users/ann" };
    const done = await finished(store, newOperation(mine));
    await finished(store, newOperation({ ...mine, principal: "users/bob" }));
    const elsewhere = await inserted(store, newOperation({ ...mine, parent: `${root}/shelves/b` }));
    const names = async (value: boolean) => {
      const { records } = await store.list({
        parent: `${root}/shelves/-`,
        principal: "users/ann",
        filter: { kind: "done", value },
        after: undefined,
        limit: 10,
      });
      return records.map(({ name }) => name).join();
    };
    assertSame(await names(true), done.name, "done = true");
    assertSame(await names(false), elsewhere.name, "done = false");
  }),
];
