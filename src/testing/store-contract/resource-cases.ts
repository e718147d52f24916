import type { OperationRecord, OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase, present } from "../contract.js";
import {
  cancelled,
  claimed,
  failure,
  finished,
  inserted,
  newOperation,
  newResourceKey,
  noMessage,
  requestId,
  response,
  storeCase,
  unfinishedAmong,
} from "./store-case.js";

const refuse = { parallel: { kind: "refuse" } } as const;
const preempt = { parallel: { kind: "preempt", result: failure } } as const;

/** One operation after another of a new resource: the first runs, the others are blocked. */
async function inLine(store: OperationStore, count: number) {
  const resourceKey = newResourceKey();
  const first = await claimed(store, newOperation({ resourceKey }));
  const blocked: OperationRecord[] = [];
  while (blocked.length < count) {
    blocked.push(await inserted(store, newOperation({ resourceKey })));
  }
  return { resourceKey, first, blocked };
}

/** Operations that work on one resource (AIP-151 on parallel operations). */
export const resourceCases: readonly ContractCase<OperationStore>[] = [
  storeCase("server 14: blocks what comes while its resource is worked on", async (store) => {
    const { resourceKey, blocked } = await inLine(store, 2);
    for (const { name, state } of blocked) {
      assertSame(state, "blocked", "state");
      assertSame(await store.claim(name), undefined, "a claim");
      const record = present(await store.get(name), "the record");
      assertSame(record.state, "blocked", "state");
      assertSame(record.resourceKey, resourceKey, "resource key");
    }
    assertSame(await store.unblock(resourceKey), undefined, "what may run");
  }),
  storeCase("server 14: unblocks the oldest that is not done, one by one", async (store) => {
    const { resourceKey, first, blocked } = await inLine(store, 3);
    let running = first;
    for (const { name } of blocked) {
      await store.finish(running, response);
      const next = present(await store.unblock(resourceKey), "what may run");
      assertSame(next.name, name, "its name");
      assertSame(next.state, "queued", "state");
      assertSame(await store.unblock(resourceKey), undefined, "what else may run");
      running = present(await store.claim(name), "the claim");
    }
    await store.finish(running, response);
    assertSame(await store.unblock(resourceKey), undefined, "what may run at the end");
  }),
  storeCase("counts a hidden operation that still runs", async (store) => {
    const { resourceKey, first, blocked } = await inLine(store, 1);
    await store.hide(first.name);
    const late = await inserted(store, newOperation({ resourceKey }));
    assertSame(late.state, "blocked", "state of a later one");
    assertSame(await store.unblock(resourceKey), undefined, "what may run");
    await store.finish(first, response);
    assertSame((await store.unblock(resourceKey))?.name, blocked[0]?.name, "what may run then");
  }),
  storeCase("counts no hidden operation that is driven from outside", async (store) => {
    const resourceKey = newResourceKey();
    const outside = await inserted(store, newOperation({ resourceKey, external: true }));
    const next = await inserted(store, newOperation({ resourceKey }));
    assertSame(next.state, "blocked", "state");
    await store.hide(outside.name);
    assertSame((await store.unblock(resourceKey))?.name, next.name, "what may run");
  }),
  storeCase("has a hidden operation wait for its turn like any other", async (store) => {
    const { resourceKey, first, blocked } = await inLine(store, 2);
    const [hidden, last] = blocked;
    await store.hide(present(hidden, "the hidden one").name);
    await store.expire(1000);
    await store.finish(first, response);
    assertSame((await store.unblock(resourceKey))?.name, hidden?.name, "the first to run");
    const claim = present(await store.claim(hidden?.name ?? ""), "its claim");
    await store.finish(claim, response);
    assertSame((await store.unblock(resourceKey))?.name, last?.name, "the next to run");
  }),
  storeCase("server 59: cancels a blocked operation at once", async (store) => {
    const { resourceKey, first, blocked } = await inLine(store, 2);
    const [gone, last] = blocked;
    const record = await store.requestCancel(present(gone, "the first blocked").name, cancelled);
    assertSame(record?.state, "done", "state");
    assertSame(record?.result?.value, cancelled.value, "result");
    await store.finish(first, response);
    assertSame((await store.unblock(resourceKey))?.name, last?.name, "what may run");
  }),
  storeCase("has unfinished what was unblocked, and not what is blocked", async (store) => {
    const { resourceKey, first, blocked } = await inLine(store, 2);
    const names = [first, ...blocked].map(({ name }) => name);
    assertSame((await unfinishedAmong(store, names, 100)).join(), first.name, "what is unfinished");
    await store.finish(first, response);
    await store.unblock(resourceKey);
    const unblocked = present(blocked[0], "the first blocked").name;
    assertSame((await unfinishedAmong(store, names, 100)).join(), unblocked, "what is then");
  }),
  storeCase("lets one of many concurrent inserts run", async (store) => {
    const resourceKey = newResourceKey();
    const records = await Promise.all(
      Array.from({ length: 6 }, () => inserted(store, newOperation({ resourceKey }))),
    );
    const queued = records.filter(({ state }) => state === "queued");
    assertSame(queued.length, 1, "number of those that are queued");
  }),
  storeCase("keeps resources apart, and what has none is independent", async (store) => {
    const { resourceKey } = await inLine(store, 0);
    for (const other of [`${resourceKey}x`, newResourceKey(), undefined]) {
      const record = await inserted(store, newOperation({ resourceKey: other }));
      assertSame(record.state, "queued", `state on ${other}`);
    }
  }),
  storeCase("does not count what is done, from the first or by its work", async (store) => {
    const resourceKey = newResourceKey();
    await finished(store, newOperation({ resourceKey }));
    const immediate = await inserted(store, newOperation({ resourceKey, result: response }));
    assertSame(immediate.state, "done", "state of one that is done from the first");
    const next = await inserted(store, newOperation({ resourceKey }));
    assertSame(next.state, "queued", "state of the next");
  }),

  storeCase("server 14: refuses where it is told to, and writes nothing", async (store) => {
    const { resourceKey, first } = await inLine(store, 1);
    const scope = crypto.randomUUID();
    const refused = newOperation({ resourceKey, requestId: requestId(scope, "a") });
    const outcome = await store.insert(refused, refuse);
    assertThat(outcome.kind === "busy", "the insert is refused");
    assertSame(outcome.name, first.name, "the oldest that is not done");
    assertSame(await store.get(refused.name), undefined, "the record");
    await store.finish(first, response);
    assertSame((await store.unblock(resourceKey))?.state, "queued", "the one in line");
  }),
  storeCase("a refused insert spends no request id", async (store) => {
    const { resourceKey, first } = await inLine(store, 0);
    const operation = newOperation({
      resourceKey,
      requestId: requestId(crypto.randomUUID(), "a"),
    });
    assertSame((await store.insert(operation, refuse)).kind, "busy", "the insert");
    await store.finish(first, response);
    assertSame((await store.insert(operation, refuse)).kind, "inserted", "the same one later");
  }),
  storeCase("finds the duplicate of a request id rather than its resource busy", async (store) => {
    for (const options of [refuse, preempt]) {
      const id = requestId(crypto.randomUUID(), "a");
      const resourceKey = newResourceKey();
      const first = await claimed(store, newOperation({ resourceKey, requestId: id }));
      const outcome = await store.insert(newOperation({ resourceKey, requestId: id }), options);
      assertThat(outcome.kind === "duplicate", "the second insert is a duplicate");
      assertSame(outcome.record.name, first.name, "the name");
      assertSame((await store.get(first.name))?.state, "running", "state of the first");
    }
  }),
  storeCase(
    "server 16: says what an insert would be refused for, and writes nothing",
    async (store) => {
      const { resourceKey, first } = await inLine(store, 0);
      const operation = newOperation({ resourceKey });
      const busy = await store.check(operation, refuse);
      assertThat(busy?.kind === "busy", "the resource is busy");
      assertSame(busy.name, first.name, "the name");
      assertSame(await store.check(operation), undefined, "what queues");
      assertSame(await store.check(operation, preempt), undefined, "what preempts");
      const done = newOperation({ resourceKey, result: response });
      assertSame(await store.check(done, refuse), undefined, "what is done at once");
      const taken = newOperation({ resourceKey, name: first.name });
      assertSame((await store.check(taken))?.kind, "name-taken", "a name that is taken");
      assertSame((await store.get(first.name))?.state, "running", "state of the first");
      assertSame(await store.get(operation.name), undefined, "the operation");
      await store.finish(first, response);
      assertSame(await store.check(operation, refuse), undefined, "once the resource is free");
    },
  ),
  storeCase("refuses all but one of many concurrent inserts", async (store) => {
    const resourceKey = newResourceKey();
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, () => store.insert(newOperation({ resourceKey }), refuse)),
    );
    const kinds = outcomes.map(({ kind }) => kind).sort();
    assertSame(kinds.join(), "busy,busy,busy,busy,busy,inserted", "the outcomes");
  }),

  storeCase("server 15: ends the earlier ones where it is told to preempt", async (store) => {
    const { resourceKey, first, blocked } = await inLine(store, 1);
    const outcome = await store.insert(newOperation({ resourceKey, retentionMs: 5000 }), preempt);
    assertThat(outcome.kind === "inserted", "the new one is inserted");
    assertSame(outcome.record.state, "queued", "its state");
    const earlier = [first, ...blocked].map(({ name }) => name);
    const preempted = outcome.preempted.map(({ name }) => name);
    assertSame(preempted.toSorted().join(), earlier.toSorted().join(), "the preempted");
    for (const record of outcome.preempted) {
      const kept = present(await store.get(record.name), "the record");
      for (const { state, result, endTimeMicros } of [record, kept]) {
        assertSame(state, "done", "state");
        assertSame(result?.kind, "error", "kind of result");
        assertSame(result?.value, failure.value, "result");
        assertThat(endTimeMicros !== undefined, "it has an end time");
      }
    }
    assertSame(await store.unblock(resourceKey), undefined, "what may run besides");
  }),
  storeCase("server 15: ends the earlier ones before the new one begins", async (store) => {
    const { resourceKey } = await inLine(store, 1);
    const outcome = await store.insert(newOperation({ resourceKey }), preempt);
    assertThat(outcome.kind === "inserted", "the new one is inserted");
    assertSame(outcome.preempted.length, 2, "number of those preempted");
    for (const { endTimeMicros } of outcome.preempted) {
      const isBefore = present(endTimeMicros, "the end time") <= outcome.record.createTimeMicros;
      assertThat(isBefore, "the end of the earlier one is not after the start of the new one");
    }
  }),
  storeCase("preempts nothing for an operation whose name is taken", async (store) => {
    const { resourceKey, first } = await inLine(store, 0);
    const taken = await inserted(store, newOperation());
    const outcome = await store.insert(newOperation({ resourceKey, name: taken.name }), preempt);
    assertSame(outcome.kind, "name-taken", "the outcome");
    assertSame((await store.get(first.name))?.state, "running", "state of the first");
  }),
  storeCase("fences the attempt that was preempted", async (store) => {
    const { resourceKey, first } = await inLine(store, 0);
    await store.insert(newOperation({ resourceKey }), preempt);
    assertSame(await store.look(first), undefined, "a look");
    assertSame(await store.report(first, { metadata: noMessage }), undefined, "a report");
    assertSame(await store.release(first, false, cancelled), undefined, "a release");
    assertSame(await store.finish(first, response), undefined, "a terminal write");
    assertSame((await store.get(first.name))?.result?.value, failure.value, "result");
  }),
  storeCase("preempts hidden ones too, and nothing where nothing is open", async (store) => {
    const { resourceKey, first } = await inLine(store, 0);
    await store.hide(first.name);
    const second = await store.insert(newOperation({ resourceKey }), preempt);
    assertThat(second.kind === "inserted", "the second is inserted");
    assertSame(second.preempted.map(({ name }) => name).join(), first.name, "the preempted");
    await store.requestCancel(second.record.name, cancelled);
    const third = await store.insert(newOperation({ resourceKey }), preempt);
    assertThat(third.kind === "inserted", "the third is inserted");
    assertSame(third.preempted.length, 0, "number of those preempted");
  }),
];
