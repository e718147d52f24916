import type { OperationFilter } from "../../store/operation-filter.js";
import type { ListCursor, OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase } from "../contract.js";
import {
  claimed,
  dayMs,
  finished,
  inserted,
  namesOfWalk,
  newOperation,
  newParent,
  response,
  storeCase,
} from "./store-case.js";

/** Lists of one parent. */
export const listCases: readonly ContractCase<OperationStore>[] = [
  storeCase("lists newest first, page by page", async (store) => {
    const parent = newParent();
    const names: string[] = [];
    for (let count = 0; count < 7; count += 1) {
      names.unshift((await inserted(store, newOperation({ parent }))).name);
    }
    for (const limit of [1, 2, 3, 7, 100]) {
      const walk = await namesOfWalk(store, parent, limit);
      assertSame(walk.join(), names.join(), `a walk by ${limit}`);
    }
  }),
  storeCase("lists one parent's operations alone", async (store) => {
    const parent = newParent();
    const { name } = await inserted(store, newOperation({ parent }));
    await inserted(store, newOperation({ parent: `${parent}/shelves/1` }));
    assertSame((await namesOfWalk(store, parent, 10)).join(), name, "the list");
  }),
  storeCase("lists by done", async (store) => {
    const parent = newParent();
    const done = await finished(store, newOperation({ parent }));
    const running = await claimed(store, newOperation({ parent }));
    const queued = await inserted(store, newOperation({ parent }));
    const names = async (value: boolean) => {
      const filter = { kind: "done" as const, value };
      const page = await store.list({
        parent,
        principal: undefined,
        filter,
        after: undefined,
        limit: 10,
      });
      return page.records.map((record) => record.name).join();
    };
    assertSame(await names(true), done.name, "done = true");
    assertSame(await names(false), [queued.name, running.name].join(), "done = false");
  }),
  storeCase("server 53: lists what one principal started", async (store) => {
    const parent = newParent();
    const names: string[] = [];
    for (const principal of ["users/ann", "users/bob", "users/ann", "", "users/annabel"]) {
      const { name } = await inserted(store, newOperation({ parent, principal }));
      if (principal === "users/ann") names.unshift(name);
    }
    await inserted(store, newOperation({ principal: "users/ann" }));
    for (const limit of [1, 2, 100]) {
      const walk = await namesOfWalk(store, parent, limit, undefined, "users/ann");
      assertSame(walk.join(), names.join(), `a walk by ${limit}`);
    }
    const strange = await namesOfWalk(store, parent, 10, undefined, "users/carl");
    assertSame(strange.length, 0, "what somebody else started");
  }),
  storeCase("server 44: a walk under change meets every lasting operation once", async (store) => {
    const parent = newParent();
    const lasting: string[] = [];
    for (let count = 0; count < 9; count += 1) {
      lasting.unshift((await claimed(store, newOperation({ parent }))).name);
    }
    const passing = await finished(store, newOperation({ parent, retentionMs: 30 * dayMs }));
    const walk = await namesOfWalk(store, parent, 2, async () => {
      await inserted(store, newOperation({ parent }));
      await store.hide(passing.name);
      const next = lasting[0];
      if (next !== undefined) await store.finish({ name: next, attempt: 1 }, response);
    });
    const met = walk.filter((name) => lasting.includes(name));
    assertSame(met.join(), lasting.join(), "the lasting ones in the walk");
  }),
  storeCase("server 35: ends a page before it has more bytes than it may have", async (store) => {
    const parent = newParent();
    const names: string[] = [];
    for (const [metadataBytes, resultBytes] of [
      [1000, 0],
      [0, 1000],
      [500, 500],
      [5000, 5000],
      [10, 10],
      [10, 10],
      [1000, 1000],
    ] as const) {
      const result = { kind: "response" as const, value: new Uint8Array(resultBytes) };
      const metadata = new Uint8Array(metadataBytes);
      const operation = newOperation({ parent, metadata, ...(resultBytes > 0 && { result }) });
      names.unshift((await inserted(store, operation)).name);
    }
    const maxBytes = 3000;
    const filters: (OperationFilter | undefined)[] = [
      undefined,
      { kind: "done", value: true },
      { kind: "not", operand: { kind: "error-code", operator: "=", value: 3 } },
    ];
    for (const filter of filters) {
      const met: string[] = [];
      let after: ListCursor | undefined;
      do {
        const query = { parent, principal: undefined, filter, after, limit: 100, maxBytes };
        const { records, next } = await store.list(query);
        const bytes = records.reduce((sum, { metadata, result }) => {
          return sum + (metadata?.length ?? 0) + (result?.value.length ?? 0);
        }, 0);
        assertThat(records.length <= 1 || bytes <= maxBytes, "a page of several is no larger");
        met.push(...records.map(({ name }) => name));
        after = next;
      } while (after !== undefined);
      const expected = filter?.kind === "done" ? names.slice(0, -1) : names;
      assertSame(met.join(), expected.join(), "the operations of all pages");
    }
  }),
  storeCase("gives no cursor at the end of a list", async (store) => {
    const parent = newParent();
    const empty = { parent, principal: undefined, filter: undefined, after: undefined, limit: 10 };
    assertSame((await store.list(empty)).next, undefined, "next of an empty list");
    await inserted(store, newOperation({ parent }));
    assertSame((await store.list({ ...empty, limit: 1 })).next, undefined, "next of a full page");
  }),
  storeCase("goes on after a record that is gone by now", async (store) => {
    const parent = newParent();
    const older = await finished(store, newOperation({ parent }));
    const newer = await finished(store, newOperation({ parent }));
    const page = await store.list({
      parent,
      principal: undefined,
      filter: undefined,
      after: undefined,
      limit: 1,
    });
    await store.hide(newer.name);
    await store.expire(1000);
    const rest = await store.list({
      parent,
      principal: undefined,
      filter: undefined,
      after: page.next,
      limit: 1,
    });
    assertSame(rest.records[0]?.name, older.name, "the rest");
  }),
];
