import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase, present } from "../contract.js";
import {
  cancelled,
  claimed,
  finished,
  inserted,
  namesOfWalk,
  newOperation,
  newParent,
  requestId,
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
  storeCase(
    "server 30: what has expired or was deleted leaves its name, removed or not",
    async (store) => {
      for (const windowMs of [undefined, 0]) {
        const requestIdOf = () =>
          windowMs === undefined ? undefined : requestId(newParent(), "1", 1, windowMs);
        const expired = newOperation({ retentionMs: 0, requestId: requestIdOf() });
        await finished(store, expired);
        const again = await store.insert(expired);
        assertThat(again.kind === "inserted", "the name of an expired one can be used");
        assertSame(again.record.state, "queued", "state of the new one");
        assertSame((await store.get(expired.name))?.state, "queued", "the new one");
        const deleted = newOperation({ requestId: requestIdOf() });
        await finished(store, deleted);
        await store.hide(deleted.name);
        assertSame((await store.insert(deleted)).kind, "inserted", "the name of a deleted one");
      }
      const running = newOperation();
      await claimed(store, running);
      await store.hide(running.name);
      assertSame(
        (await store.insert(running)).kind,
        "name-taken",
        "the name of one that still runs",
      );
    },
  ),
  storeCase(
    "server 90: a remembered request id keeps the name of its operation beyond its removal",
    async (store) => {
      const first = newOperation({ retentionMs: 0, requestId: requestId(newParent(), "1") });
      await finished(store, first);
      for (const step of ["before its removal", "after it"]) {
        assertSame((await store.insert(first)).kind, "spent", `the same request ${step}`);
        const other = { ...first, requestId: undefined };
        assertSame((await store.insert(other)).kind, "name-taken", `another request ${step}`);
        await store.expire(1000);
      }
    },
  ),
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
