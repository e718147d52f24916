import type { OperationRecord, OperationStore, Overdue } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase, present } from "../contract.js";
import {
  cancelled,
  claimed,
  deadlineExceeded,
  finished,
  inserted,
  newOperation,
  newResourceKey,
  noMessage,
  response,
  storeCase,
} from "./store-case.js";

const hourMs = 60 * 60 * 1000;
const results = { deadlineExceeded, cancelled };

/** Ends overdue operations, at most `limit` at a time, until none is left. */
async function endAll(
  store: OperationStore,
  names: readonly string[],
  limit: number,
): Promise<Map<string, OperationRecord>> {
  const ended = new Map<string, OperationRecord>();
  let overdue: Overdue;
  do {
    overdue = await store.endOverdue(results, limit);
    assertThat(overdue.ended.length <= limit, `at most ${limit} are ended at a time`);
    for (const record of overdue.ended) {
      if (names.includes(record.name)) ended.set(record.name, record);
    }
  } while (overdue.ended.length > 0);
  return ended;
}

/** Deadlines, including the grace of a cancellation. */
export const deadlineCases: readonly ContractCase<OperationStore>[] = [
  storeCase("sets the deadline to the start plus its time", async (store) => {
    const limited = await inserted(store, newOperation({ deadlineMs: hourMs }));
    assertSame(limited.deadlineMs, hourMs, "the time");
    assertSame(limited.deadlineTimeMicros, limited.createTimeMicros + hourMs * 1000, "deadline");
    const unlimited = await inserted(store, newOperation());
    assertSame(unlimited.deadlineTimeMicros, undefined, "deadline of one that has none");
  }),
  storeCase("ends what is overdue, in whatever state it is", async (store) => {
    const deadlineMs = 0;
    const resourceKey = newResourceKey();
    const running = await claimed(store, newOperation({ deadlineMs, retentionMs: 5000 }));
    const queued = await inserted(store, newOperation({ deadlineMs }));
    const external = await inserted(store, newOperation({ deadlineMs, external: true }));
    await inserted(store, newOperation({ resourceKey }));
    const blocked = await inserted(store, newOperation({ resourceKey, deadlineMs }));
    assertSame(blocked.state, "blocked", "state");
    const hidden = await claimed(store, newOperation({ deadlineMs }));
    await store.hide(hidden.name);
    const all = [running, queued, external, blocked, hidden].map(({ name }) => name);
    const ended = await endAll(store, all, 100);
    for (const name of all) {
      const record = present(ended.get(name), "what was ended");
      assertSame(record.state, "done", "state");
      assertSame(record.result?.kind, "error", "kind of result");
      assertSame(record.result?.value, deadlineExceeded.value, "result");
      assertSame(record.checkpoint, undefined, "checkpoint");
      const endTimeMicros = present(record.endTimeMicros, "the end time");
      assertSame(record.expireTimeMicros, endTimeMicros + record.retentionMs * 1000, "expire time");
      if (name !== hidden.name) assertSame((await store.get(name))?.state, "done", "state");
    }
    assertSame(await store.get(hidden.name), undefined, "the hidden one");
    for (const claim of [running, external, hidden]) {
      assertSame(await store.report(claim, { metadata: noMessage }), undefined, "a late report");
      assertSame(await store.finish(claim, response), undefined, "a late end");
    }
    assertSame(await store.claim(queued.name), undefined, "a late claim");
  }),
  storeCase("leaves alone what is not overdue, has no deadline, or is done", async (store) => {
    const early = await claimed(store, newOperation({ deadlineMs: hourMs }));
    const endless = await claimed(store, newOperation());
    const done = await finished(store, newOperation({ deadlineMs: 0 }));
    const all = [early, endless, done].map(({ name }) => name);
    assertSame((await endAll(store, all, 100)).size, 0, "how many of them were ended");
    assertSame((await store.get(early.name))?.state, "running", "state");
    assertSame((await store.get(done.name))?.result?.value, response.value, "result");
  }),
  storeCase("ends no more at a time than it is asked to", async (store) => {
    const all: string[] = [];
    while (all.length < 5) {
      all.push((await inserted(store, newOperation({ deadlineMs: 0 }))).name);
    }
    assertSame((await endAll(store, all, 2)).size, 5, "how many were ended in all");
  }),
  storeCase("tells the earliest deadline of what is left", async (store) => {
    const later = await claimed(store, newOperation({ deadlineMs: 2 * hourMs }));
    const sooner = await claimed(store, newOperation({ deadlineMs: hourMs }));
    const next = async () =>
      (await store.endOverdue(results, 100)).nextDeadlineMicros ?? Number.POSITIVE_INFINITY;
    assertThat((await next()) <= present(sooner.deadlineTimeMicros, "its deadline"), "it is known");
    await store.finish(sooner, response);
    assertThat(
      (await next()) <= present(later.deadlineTimeMicros, "its deadline"),
      "so is the next",
    );
    const overdue = [newOperation({ deadlineMs: 0 }), newOperation({ deadlineMs: 0 })];
    for (const operation of overdue) await inserted(store, operation);
    const left = await store.endOverdue(results, 1);
    const passed = present(left.nextDeadlineMicros, "the deadline of what is left");
    assertThat(passed < present(later.deadlineTimeMicros, "its deadline"), "it has passed");
  }),
  storeCase("ends what is overdue as cancelled where that was asked for", async (store) => {
    const claim = await claimed(store, newOperation({ deadlineMs: 0 }));
    await store.requestCancel(claim.name, cancelled);
    const ended = await endAll(store, [claim.name], 100);
    assertSame(ended.get(claim.name)?.result?.value, cancelled.value, "result");
  }),

  storeCase("server 61: ends work that a request to cancel gave a grace", async (store) => {
    const claim = await claimed(store, newOperation());
    const asked = present(
      await store.requestCancel(claim.name, cancelled, { graceMs: 0 }),
      "the record",
    );
    assertSame(asked.state, "running", "state");
    assertSame(asked.deadlineTimeMicros, asked.cancelRequestTimeMicros, "deadline");
    const ended = await endAll(store, [claim.name], 100);
    assertSame(ended.get(claim.name)?.result?.value, cancelled.value, "result");
    assertSame(await store.finish(claim, response), undefined, "a late end");
  }),
  storeCase("a grace counts from the first request, and moves a deadline ahead", async (store) => {
    const claim = await claimed(store, newOperation({ deadlineMs: hourMs }));
    const deadlineTimeMicros = present(claim.deadlineTimeMicros, "the deadline");
    const after = async (graceMs: number | undefined) =>
      present(await store.requestCancel(claim.name, cancelled, { graceMs }), "the record");
    const first = await after(undefined);
    const requestTimeMicros = present(first.cancelRequestTimeMicros, "the time of the request");
    assertSame(first.deadlineTimeMicros, deadlineTimeMicros, "deadline without a grace");
    assertSame((await after(2 * hourMs)).deadlineTimeMicros, deadlineTimeMicros, "a long grace");
    const ahead = requestTimeMicros + 60_000_000;
    assertSame((await after(60_000)).deadlineTimeMicros, ahead, "a short grace");
    assertSame((await after(hourMs / 2)).deadlineTimeMicros, ahead, "a longer one after that");
    assertSame((await after(undefined)).deadlineTimeMicros, ahead, "none after that");
    const last = await store.get(claim.name);
    assertSame(last?.cancelRequestTimeMicros, requestTimeMicros, "the time of the first request");
  }),
  storeCase("a grace gives a deadline to what had none", async (store) => {
    const claim = await claimed(store, newOperation());
    const record = await store.requestCancel(claim.name, cancelled, { graceMs: 1000 });
    const requestTimeMicros = present(record?.cancelRequestTimeMicros, "the time of the request");
    assertSame(record?.deadlineTimeMicros, requestTimeMicros + 1_000_000, "deadline");
  }),
];
