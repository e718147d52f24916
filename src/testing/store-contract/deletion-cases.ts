import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase, present } from "../contract.js";
import {
  cancelled,
  claimed,
  finished,
  inserted,
  namesOfWalk,
  newOperation,
  noMessage,
  response,
  storeCase,
} from "./store-case.js";

/** Deletion, which hides an operation from all readers. */
export const deletionCases: readonly ContractCase<OperationStore>[] = [
  storeCase("server 65: a deleted operation is found by nobody", async (store) => {
    const done = await finished(store, newOperation());
    assertSame((await store.hide(done.name))?.name, done.name, "the deletion");
    assertSame(await store.get(done.name), undefined, "get");
    assertSame(await store.hide(done.name), undefined, "a second deletion");
    assertSame(await store.requestCancel(done.name, cancelled), undefined, "a cancellation");
    assertSame((await namesOfWalk(store, done.parent, 10)).length, 0, "list");
  }),
  storeCase("server 63: a deleted operation runs on to its end", async (store) => {
    const claim = await claimed(store, newOperation());
    await store.hide(claim.name);
    assertThat((await store.report(claim, { metadata: noMessage })) !== undefined, "it reports");
    assertThat((await store.finish(claim, response)) !== undefined, "it ends");
    assertSame(await store.get(claim.name), undefined, "get");
  }),
  storeCase("server 66: leaves alone what is not done, where it is told to", async (store) => {
    const claim = await claimed(store, newOperation());
    const kept = present(await store.hide(claim.name, { onlyDone: true }), "the record");
    assertSame(kept.deleteTimeMicros, undefined, "time of the deletion");
    assertSame((await store.get(claim.name))?.state, "running", "state");
    await store.finish(claim, response);
    const hidden = present(await store.hide(claim.name, { onlyDone: true }), "the record");
    assertThat(hidden.deleteTimeMicros !== undefined, "it has the time of its deletion");
    assertSame(await store.get(claim.name), undefined, "get");
  }),
  storeCase("hands a deleted queued operation to its worker", async (store) => {
    const { name } = await inserted(store, newOperation());
    await store.hide(name);
    assertSame((await store.claim(name))?.attempt, 1, "attempt");
  }),

  storeCase(
    "removes a deleted operation that was driven from outside, done or not",
    async (store) => {
      const { name } = await inserted(store, newOperation({ external: true }));
      await store.hide(name);
      await store.expire(1000);
      const claim = { name, attempt: 0 };
      assertSame(await store.finish(claim, response), undefined, "an end after that");
    },
  ),
];
