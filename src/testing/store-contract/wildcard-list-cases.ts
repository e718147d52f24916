import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, type ContractCase } from "../contract.js";
import {
  finished,
  inserted,
  namesOfWalk,
  newOperation,
  newParent,
  storeCase,
} from "./store-case.js";

/** Lists over several parents, by `-` in place of a segment (AIP-159). */
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
