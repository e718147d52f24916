import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase } from "../contract.js";
import { claimed, finished, inserted, namesOfWalk, newOperation, storeCase } from "./store-case.js";

/** Retention. */
export const expiryCases: readonly ContractCase<OperationStore>[] = [
  storeCase("server 30: an expired operation is found by nobody, removed or not", async (store) => {
    const done = await finished(store, newOperation({ retentionMs: 0 }));
    assertSame(await store.get(done.name), undefined, "get");
    assertSame((await namesOfWalk(store, done.parent, 10)).length, 0, "list");
    await store.expire(1000);
    assertSame(await store.get(done.name), undefined, "get");
  }),
  storeCase("server 88: expires done operations only", async (store) => {
    const queued = await inserted(store, newOperation({ retentionMs: 0 }));
    const running = await claimed(store, newOperation({ retentionMs: 0 }));
    const kept = await finished(store, newOperation());
    await store.expire(1000);
    for (const { name } of [queued, running, kept]) {
      assertThat((await store.get(name)) !== undefined, `${name} is still there`);
    }
  }),
  storeCase("expires no more than it is asked to, and says how many", async (store) => {
    for (let count = 0; count < 3; count += 1) {
      await finished(store, newOperation({ retentionMs: 0 }));
    }
    assertSame(await store.expire(2), 2, "how many went");
    assertThat((await store.expire(1000)) >= 1, "the rest can go");
  }),
];
