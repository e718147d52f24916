import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, type ContractCase, present } from "../contract.js";
import {
  cancelled,
  claimed,
  failure,
  finished,
  newOperation,
  noMessage,
  response,
  storeCase,
} from "./store-case.js";

/** The terminal state of an operation. */
export const endCases: readonly ContractCase<OperationStore>[] = [
  storeCase("server 56: ends what is given back after a request to cancel", async (store) => {
    for (const handover of [true, false]) {
      const claim = await claimed(store, newOperation({ retentionMs: 5000 }));
      await store.report(claim, { metadata: noMessage, checkpoint: Uint8Array.of(7) });
      await store.requestCancel(claim.name, cancelled);
      const released = present(await store.release(claim, handover, cancelled), "the release");
      assertSame(released.state, "done", "state");
      const record = present(await store.get(claim.name), "the record");
      assertSame(record.state, "done", "state");
      assertSame(record.result?.kind, "error", "kind of result");
      assertSame(record.result?.value, cancelled.value, "result");
      assertSame(record.metadata, noMessage, "metadata");
      assertSame(record.checkpoint, undefined, "checkpoint");
      const endTimeMicros = present(record.endTimeMicros, "the end time");
      assertSame(record.expireTimeMicros, endTimeMicros + 5_000_000, "expire time");
      assertSame(await store.claim(claim.name), undefined, "a claim after that");
    }
  }),
  storeCase("has no result for what is given back without a request to cancel", async (store) => {
    const claim = await claimed(store, newOperation());
    const released = present(await store.release(claim, true, cancelled), "the release");
    assertSame(released.state, "queued", "state");
    assertSame(released.result, undefined, "result");
    assertSame(released.endTimeMicros, undefined, "end time");
  }),
  storeCase("server 7: a done operation never changes again", async (store) => {
    const done = await finished(store, newOperation());
    assertSame(await store.finish(done, failure), undefined, "a second end");
    assertSame(await store.report(done, { metadata: noMessage }), undefined, "a late report");
    assertSame(await store.claim(done.name), undefined, "a late claim");
    const record = present(await store.get(done.name), "the record");
    assertSame(record.result?.kind, "response", "result");
    assertSame(record.result?.value, response.value, "its bytes");
    assertSame(record.metadata, undefined, "metadata");
    assertSame(record.updateTimeMicros, done.updateTimeMicros, "update time");
  }),
  storeCase("lets exactly one of many ends win", async (store) => {
    const claim = await claimed(store, newOperation());
    const ends = await Promise.all([
      store.finish(claim, response),
      store.finish(claim, failure),
      store.finish(claim, cancelled),
    ]);
    assertSame(ends.filter((end) => end !== undefined).length, 1, "number of accepted ends");
  }),
  storeCase("writes the last report with the end, and drops the checkpoint", async (store) => {
    const claim = await claimed(store, newOperation());
    await store.report(claim, { checkpoint: Uint8Array.of(7) });
    const done = await store.finish(claim, response, { metadata: Uint8Array.of(9) });
    assertSame(done?.metadata, Uint8Array.of(9), "metadata");
    assertSame(done?.checkpoint, undefined, "checkpoint");
  }),
  storeCase("sets the expire time to the end plus the retention", async (store) => {
    const done = await finished(store, newOperation({ retentionMs: 5000 }));
    const endTimeMicros = present(done.endTimeMicros, "the end time");
    assertSame(done.expireTimeMicros, endTimeMicros + 5_000_000, "expire time");
  }),
];
