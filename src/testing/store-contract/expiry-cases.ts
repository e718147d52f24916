import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase, present } from "../contract.js";
import {
  cancelled,
  claimed,
  finished,
  inserted,
  namesOfWalk,
  newOperation,
  response,
  storeCase,
} from "./store-case.js";

/** Retention. */
export const expiryCases: readonly ContractCase<OperationStore>[] = [
  storeCase("server 30: an expired operation is found by nobody, removed or not", async (store) => {
    const done = await finished(store, newOperation({ retentionMs: 0 }));
    assertSame(await store.get(done.name), undefined, "get");
    assertSame((await namesOfWalk(store, done.parent, 10)).length, 0, "list");
    await store.expire(1000);
    assertSame(await store.get(done.name), undefined, "get");
  }),
  storeCase("server 89: no time lies after the last that a number holds exactly", async (store) => {
    const last = Number.MAX_SAFE_INTEGER;
    for (const longMs of [9.1e12, Number.MAX_SAFE_INTEGER]) {
      const init = { retentionMs: longMs, deadlineMs: longMs };
      const atOnce = await inserted(store, newOperation({ ...init, result: response }));
      const running = await claimed(store, newOperation(init));
      assertSame(running.deadlineTimeMicros, last, "deadline");
      const done = present(await store.finish(running, response), "the terminal write");
      for (const { name, expireTimeMicros } of [atOnce, done]) {
        assertSame(expireTimeMicros, last, "expire time as it was written");
        assertSame((await store.get(name))?.expireTimeMicros, last, "expire time as it is read");
      }
      const asked = await claimed(store, newOperation());
      const record = await store.requestCancel(asked.name, cancelled, { graceMs: longMs });
      assertSame(record?.deadlineTimeMicros, last, "the end of a grace");
    }
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
