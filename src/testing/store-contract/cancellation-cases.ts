import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase, present } from "../contract.js";
import {
  cancelled,
  claimed,
  finished,
  inserted,
  newOperation,
  noMessage,
  response,
  storeCase,
} from "./store-case.js";

/** Requests to cancel. */
export const cancellationCases: readonly ContractCase<OperationStore>[] = [
  storeCase("server 59: cancels a queued operation at once", async (store) => {
    const { name } = await inserted(store, newOperation());
    const record = present(await store.requestCancel(name, cancelled), "the record");
    assertSame(record.state, "done", "state");
    assertSame(record.result?.value, cancelled.value, "result");
    assertThat(record.endTimeMicros !== undefined, "it has an end time");
    assertSame(await store.claim(name), undefined, "a claim");
  }),
  storeCase("server 60: notes the request to cancel a running operation", async (store) => {
    const claim = await claimed(store, newOperation());
    const record = present(await store.requestCancel(claim.name, cancelled), "the record");
    assertSame(record.state, "running", "state");
    const time = present(record.cancelRequestTimeMicros, "the time of the request");
    const again = await store.requestCancel(claim.name, cancelled);
    assertSame(again?.cancelRequestTimeMicros, time, "the time of the first request");
    const reported = await store.report(claim, { metadata: noMessage });
    assertSame(reported?.cancelRequestTimeMicros, time, "what the worker sees");
  }),
  storeCase(
    "server 57: work that ends after a request to cancel ends as it will",
    async (store) => {
      const claim = await claimed(store, newOperation());
      await store.requestCancel(claim.name, cancelled);
      assertSame((await store.finish(claim, response))?.result?.kind, "response", "result");
    },
  ),
  storeCase("server 58: leaves a done operation alone when asked to cancel", async (store) => {
    const done = await finished(store, newOperation());
    const record = present(await store.requestCancel(done.name, cancelled), "the record");
    assertSame(record.result?.value, response.value, "result");
    assertSame(record.cancelRequestTimeMicros, undefined, "time of the request");
  }),
  storeCase("notes a request to cancel an operation that is driven from outside", async (store) => {
    const { name } = await inserted(store, newOperation({ external: true }));
    assertSame((await store.requestCancel(name, cancelled))?.state, "running", "state");
  }),
];
