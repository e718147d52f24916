import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase, present } from "../contract.js";
import {
  cancelled,
  claimed,
  failure,
  finished,
  inserted,
  newOperation,
  noMessage,
  response,
  storeCase,
} from "./store-case.js";

/** Claims, and the writes of an attempt. */
export const attemptCases: readonly ContractCase<OperationStore>[] = [
  storeCase("raises the attempt with every claim", async (store) => {
    const { name } = await inserted(store, newOperation());
    const first = present(await store.claim(name), "the first claim");
    const second = present(await store.claim(name), "the second claim");
    assertSame(first.attempt, 1, "attempt");
    assertSame(first.state, "running", "state");
    assertSame(second.attempt, 2, "attempt");
  }),
  storeCase("gives concurrent claims different attempts", async (store) => {
    const { name } = await inserted(store, newOperation());
    const claims = await Promise.all(Array.from({ length: 5 }, () => store.claim(name)));
    assertSame(new Set(claims.map((claim) => claim?.attempt)).size, 5, "number of attempts");
  }),
  storeCase("accepts no write of a stale attempt", async (store) => {
    const stale = await claimed(store, newOperation());
    const present2 = present(await store.claim(stale.name), "the second claim");
    assertSame(await store.report(stale, { metadata: noMessage }), undefined, "a stale report");
    assertSame(await store.release(stale, true, cancelled), undefined, "a stale release");
    assertSame(await store.finish(stale, failure), undefined, "a stale terminal write");
    const record = present(await store.get(stale.name), "the record");
    assertSame(record.state, "running", "state");
    assertSame(record.metadata, undefined, "metadata");
    assertSame((await store.finish(present2, response))?.state, "done", "the right write");
  }),
  storeCase("never claims an operation that is driven from outside", async (store) => {
    const record = await inserted(store, newOperation({ external: true }));
    assertSame(record.state, "running", "state");
    assertSame(await store.claim(record.name), undefined, "a claim");
    assertSame(await store.release(record, false, cancelled), undefined, "a release");
    const done = await store.finish({ name: record.name, attempt: 0 }, response);
    assertSame(done?.state, "done", "its end");
  }),
  storeCase("keeps the latest report, member by member", async (store) => {
    const claim = await claimed(store, newOperation());
    await store.report(claim, { metadata: Uint8Array.of(1), checkpoint: Uint8Array.of(2) });
    const record = present(await store.report(claim, { metadata: Uint8Array.of(3) }), "a report");
    assertSame(record.metadata, Uint8Array.of(3), "metadata");
    assertSame(record.checkpoint, Uint8Array.of(2), "checkpoint");
    assertThat(record.updateTimeMicros > claim.updateTimeMicros, "the update time grew");
  }),
  storeCase("hands the checkpoint to the next attempt", async (store) => {
    const claim = await claimed(store, newOperation());
    await store.report(claim, { checkpoint: Uint8Array.of(7) });
    await store.release(claim, false, cancelled);
    const next = present(await store.claim(claim.name), "the next claim");
    assertSame(next.checkpoint, Uint8Array.of(7), "checkpoint");
  }),
  storeCase("counts an attempt that was handed over, and no other", async (store) => {
    const first = await claimed(store, newOperation());
    const handedOver = present(await store.release(first, true, cancelled), "the release");
    assertSame(handedOver.state, "queued", "state");
    assertSame(handedOver.handovers, 1, "handovers");
    const second = present(await store.claim(first.name), "the next claim");
    assertSame(second.attempt, 2, "attempt");
    assertSame((await store.release(second, false, cancelled))?.handovers, 1, "handovers");
  }),
  storeCase(
    "counts an attempt as lost that is claimed over, and none that was given back",
    async (store) => {
      const { name } = await inserted(store, newOperation());
      for (const handover of [true, false]) {
        const given = present(await store.claim(name), "a claim of what is queued");
        assertSame(given.losses, 0, "losses");
        assertSame((await store.release(given, handover, cancelled))?.losses, 0, "losses");
      }
      await store.claim(name);
      assertSame((await store.claim(name))?.losses, 1, "losses");
      assertSame((await store.claim(name))?.losses, 2, "losses");
      assertSame((await store.get(name))?.losses, 2, "losses");
    },
  ),
  storeCase("claims over the attempt alone that is said to be lost", async (store) => {
    const { name } = await inserted(store, newOperation());
    const first = present(await store.claim(name, { lostAttempt: 0 }), "a claim of what is queued");
    assertSame(await store.claim(name, { lostAttempt: 0 }), undefined, "a claim over no attempt");
    const both = await Promise.all([1, 2].map(() => store.claim(name, { lostAttempt: 1 })));
    assertSame(both.filter((record) => record !== undefined).length, 1, "claims over attempt 1");
    assertSame(await store.look(first), undefined, "the first attempt");
    const second = present(await store.get(name), "the record");
    assertSame(second.attempt, 2, "attempt");
    assertSame(second.losses, 1, "losses");
    await store.release(second, true, cancelled);
    assertSame((await store.claim(name, { lostAttempt: 1 }))?.attempt, 3, "attempt from the queue");
  }),
  storeCase("reads an operation that is hidden, if asked to", async (store) => {
    const { name } = await claimed(store, newOperation());
    await store.hide(name);
    assertSame(await store.get(name), undefined, "a hidden operation");
    assertSame((await store.get(name, { evenHidden: true }))?.attempt, 1, "attempt");
    assertSame(await store.get(`${name}-none`, { evenHidden: true }), undefined, "no operation");
  }),
  storeCase(
    "drops the checkpoint of a lost attempt where the claim says so, and no other",
    async (store) => {
      const restartLost = true;
      const claim = await claimed(store, newOperation());
      await store.report(claim, { checkpoint: Uint8Array.of(7) });
      await store.release(claim, false, cancelled);
      const given = present(
        await store.claim(claim.name, { restartLost }),
        "a claim of what is queued",
      );
      assertSame(given.checkpoint, Uint8Array.of(7), "checkpoint that was given back");
      const kept = present(await store.claim(claim.name), "a claim of what is running");
      assertSame(kept.checkpoint, Uint8Array.of(7), "checkpoint that was kept");
      const restarted = present(
        await store.claim(claim.name, { restartLost }),
        "a claim that restarts",
      );
      assertSame(restarted.checkpoint, undefined, "checkpoint of the lost attempt");
      assertSame((await store.get(claim.name))?.checkpoint, undefined, "checkpoint in the store");
    },
  ),
  storeCase(
    "shows a worker its record, a hidden one too, with the request to cancel",
    async (store) => {
      const claim = await claimed(store, newOperation());
      assertSame(
        (await store.look(claim))?.cancelRequestTimeMicros,
        undefined,
        "time of a request",
      );
      const cancelRequested = await store.requestCancel(claim.name, cancelled);
      await store.hide(claim.name);
      const record = present(await store.look(claim), "the record");
      assertSame(record.name, claim.name, "name");
      assertSame(record.state, "running", "state");
      assertSame(
        record.cancelRequestTimeMicros,
        present(cancelRequested, "the cancellation").cancelRequestTimeMicros,
        "time of the request",
      );
      assertThat(record.deleteTimeMicros !== undefined, "it has the time of its deletion");
    },
  ),
  storeCase("shows a worker nothing whose claim no longer holds", async (store) => {
    const stale = await claimed(store, newOperation());
    const claim = present(await store.claim(stale.name), "the second claim");
    assertSame(await store.look(stale), undefined, "a look of the first attempt");
    assertThat((await store.look(claim)) !== undefined, "the second attempt sees it");
    await store.release(claim, true, cancelled);
    assertSame(await store.look(claim), undefined, "a look after the release");
    const done = await finished(store, newOperation());
    assertSame(await store.look(done), undefined, "a look after the end");
    assertSame(
      await store.look({ name: newOperation().name, attempt: 1 }),
      undefined,
      "an unknown",
    );
  }),
  storeCase("a look changes nothing", async (store) => {
    const claim = await claimed(store, newOperation());
    assertSame((await store.look(claim))?.updateTimeMicros, claim.updateTimeMicros, "update time");
  }),
];
