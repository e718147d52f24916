import { Code, ConnectError } from "@connectrpc/connect";
import type {
  NewOperation,
  OperationRecord,
  OperationStore,
  StoredResult,
} from "../store/operation-store.js";
import { assertSame, assertThat, type ContractCase, contractCase, present } from "./contract.js";
import { filterContract } from "./filter-contract.js";

const dayMs = 24 * 60 * 60 * 1000;
/** Bytes that are no message of any type: a store must not look into payloads. */
const noMessage = Uint8Array.of(0xff, 0x00, 0xfe, 0x80);
const response: StoredResult = { kind: "response", value: Uint8Array.of(0xff, 1) };
const failure: StoredResult = { kind: "error", value: Uint8Array.of(0xff, 2) };
const cancelled: StoredResult = { kind: "error", value: Uint8Array.of(0xff, 3) };

/** A parent of this case's own: suites may share one database. */
const newParent = () => `projects/${crypto.randomUUID()}`;

function newOperation(init: Partial<NewOperation> = {}): NewOperation {
  const parent = init.parent ?? newParent();
  return {
    name: `${parent}/operations/${crypto.randomUUID()}`,
    parent,
    method: "printing.v1.PrintService/Print",
    principal: "",
    external: false,
    request: noMessage,
    metadata: undefined,
    result: undefined,
    retentionMs: 30 * dayMs,
    deadlineMs: undefined,
    resourceKey: undefined,
    requestId: undefined,
    ...init,
  };
}

async function inserted(store: OperationStore, operation: NewOperation): Promise<OperationRecord> {
  const outcome = await store.insert(operation);
  if (outcome.kind !== "inserted") throw new Error(`expected an insert, but got ${outcome.kind}`);
  return outcome.record;
}

async function claimed(store: OperationStore, operation: NewOperation): Promise<OperationRecord> {
  const { name } = await inserted(store, operation);
  return present(await store.claim(name), "the claim");
}

async function finished(store: OperationStore, operation: NewOperation): Promise<OperationRecord> {
  const claim = await claimed(store, operation);
  return present(await store.finish(claim, response), "the terminal write");
}

async function namesOfWalk(
  store: OperationStore,
  parent: string,
  limit: number,
  between: () => Promise<void> = async () => undefined,
): Promise<string[]> {
  const names: string[] = [];
  let after: Parameters<OperationStore["list"]>[0]["after"];
  do {
    const page = await store.list({
      parent,
      principal: undefined,
      filter: undefined,
      after,
      limit,
    });
    assertThat(page.records.length <= limit, `a page has at most ${limit} records`);
    names.push(...page.records.map((record) => record.name));
    after = page.next;
    await between();
  } while (after !== undefined);
  return names;
}

/** Those of these names that have unfinished work, in the order that the store gives. */
async function unfinishedAmong(
  store: OperationStore,
  names: readonly string[],
  limit: number,
  between: () => Promise<void> = async () => undefined,
): Promise<string[]> {
  const found: string[] = [];
  let after: Parameters<OperationStore["unfinished"]>[0]["after"];
  do {
    const page = await store.unfinished({ after, limit });
    assertThat(page.records.length <= limit, `a page has at most ${limit} records`);
    found.push(...page.records.map((record) => record.name));
    after = page.next;
    await between();
  } while (after !== undefined);
  return found.filter((name) => names.includes(name));
}

function requestId(scope: string, id: string, fingerprint = 1, windowMs = 30 * dayMs) {
  return { scope, id, fingerprint: Uint8Array.of(fingerprint), windowMs };
}

const storeCase = (title: string, run: (store: OperationStore) => Promise<void>) =>
  contractCase<OperationStore>(title, run);

/**
 * What every `OperationStore` must do. Each case wants a store of its own, which it
 * may close; the stores may share one database, as each case uses its own parents.
 */
export const storeContract: readonly ContractCase<OperationStore>[] = [
  storeCase("keeps all that it was given, bytes as they are", async (store) => {
    const operation = newOperation({
      metadata: noMessage,
      principal: "users/ann",
      requestId: requestId("scope", crypto.randomUUID()),
    });
    await inserted(store, operation);
    const record = present(await store.get(operation.name), "the record");
    assertSame(record.name, operation.name, "name");
    assertSame(record.parent, operation.parent, "parent");
    assertSame(record.method, operation.method, "method");
    assertSame(record.principal, "users/ann", "principal");
    assertSame(record.request, noMessage, "request");
    assertSame(record.metadata, noMessage, "metadata");
    assertSame(record.result, undefined, "result");
    assertSame(record.retentionMs, operation.retentionMs, "retention");
    assertSame(record.requestId?.id, operation.requestId?.id, "request id");
    assertSame(record.state, "queued", "state");
    assertSame(record.attempt, 0, "attempt");
    assertSame(record.updateTimeMicros, record.createTimeMicros, "update time");
    assertSame(record.endTimeMicros, undefined, "end time");
    assertSame(record.expireTimeMicros, undefined, "expire time");
  }),
  storeCase("keeps whether it is driven from outside, and all of its request id", async (store) => {
    const id = {
      scope: `caller \u0000 ${crypto.randomUUID()}`,
      id: "a/b",
      fingerprint: noMessage,
      windowMs: 90_000,
    };
    const operation = newOperation({ external: true, requestId: id });
    await inserted(store, operation);
    const record = present(await store.get(operation.name), "the record");
    assertSame(record.external, true, "external");
    const kept = present(record.requestId, "the request id");
    assertSame(kept.scope, id.scope, "scope");
    assertSame(kept.id, id.id, "id");
    assertSame(kept.fingerprint, noMessage, "fingerprint");
    assertSame(kept.windowMs, 90_000, "window");
    const own = newOperation();
    await inserted(store, own);
    const other = present(await store.get(own.name), "the other record");
    assertSame(other.external, false, "external");
    assertSame(other.requestId, undefined, "request id");
  }),
  storeCase("does not find a name that nobody inserted", async (store) => {
    const { name } = newOperation();
    assertSame(await store.get(name), undefined, "get");
    assertSame(await store.claim(name), undefined, "claim");
    assertSame(await store.requestCancel(name, cancelled), undefined, "cancel");
    assertSame(await store.hide(name), undefined, "hide");
  }),
  storeCase("refuses a name that is in use and leaves its record as it is", async (store) => {
    const operation = newOperation();
    const record = await inserted(store, operation);
    const outcome = await store.insert({ ...operation, method: "other.v1.Other/Other" });
    assertSame(outcome.kind, "name-taken", "the second insert");
    assertSame((await store.get(operation.name))?.method, record.method, "method");
  }),
  storeCase("keeps an operation that was done from the first", async (store) => {
    const record = await inserted(store, newOperation({ result: response }));
    assertSame(record.state, "done", "state");
    assertSame(record.endTimeMicros, record.createTimeMicros, "end time");
    assertSame(await store.claim(record.name), undefined, "a claim");
  }),

  storeCase("server 19: inserts one operation for one request id", async (store) => {
    const scope = crypto.randomUUID();
    const first = newOperation({ requestId: requestId(scope, "a") });
    await inserted(store, first);
    const second = newOperation({ requestId: requestId(scope, "a", 2) });
    const outcome = await store.insert(second);
    assertThat(outcome.kind === "duplicate", "the second insert is a duplicate");
    assertSame(outcome.record.name, first.name, "the duplicate's name");
    assertSame(outcome.record.requestId?.fingerprint, Uint8Array.of(1), "its fingerprint");
    assertSame(await store.get(second.name), undefined, "the second record");
  }),
  storeCase("server 23: concurrent duplicates lead to one operation", async (store) => {
    const scope = crypto.randomUUID();
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () =>
        store.insert(newOperation({ requestId: requestId(scope, "a") })),
      ),
    );
    const newOnes = outcomes.filter((outcome) => outcome.kind === "inserted");
    assertSame(newOnes.length, 1, "number of inserts");
    const names = outcomes.map((outcome) =>
      "record" in outcome ? outcome.record.name : outcome.kind,
    );
    assertSame(new Set(names).size, 1, "number of names");
  }),
  storeCase("server 25: compares request ids within their scope alone", async (store) => {
    await inserted(store, newOperation({ requestId: requestId(crypto.randomUUID(), "a") }));
    await inserted(store, newOperation({ requestId: requestId(crypto.randomUUID(), "a") }));
  }),
  storeCase("server 67: remembers the request id of a deleted operation", async (store) => {
    const scope = crypto.randomUUID();
    const operation = newOperation({ requestId: requestId(scope, "a") });
    await finished(store, operation);
    await store.hide(operation.name);
    for (const expire of [false, true]) {
      if (expire) await store.expire(1000);
      const outcome = await store.insert(newOperation({ requestId: requestId(scope, "a") }));
      assertThat(outcome.kind === "spent", "the request id is spent");
      assertSame(outcome.name, operation.name, "the name that it led to");
    }
  }),
  storeCase("server 90: expiry does not free a request id inside its window", async (store) => {
    const scope = crypto.randomUUID();
    const operation = newOperation({ retentionMs: 0, requestId: requestId(scope, "a") });
    await finished(store, operation);
    await store.expire(1000);
    const outcome = await store.insert(newOperation({ requestId: requestId(scope, "a") }));
    assertSame(outcome.kind, "spent", "the retry");
  }),
  storeCase("frees a request id once its record and its window are gone", async (store) => {
    const scope = crypto.randomUUID();
    const id = requestId(scope, "a", 1, 0);
    await finished(store, newOperation({ retentionMs: 0, requestId: id }));
    await store.expire(1000);
    await inserted(store, newOperation({ requestId: id }));
  }),

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

  storeCase("knows what is unfinished, oldest first, also what is hidden", async (store) => {
    const running = await claimed(store, newOperation());
    const queued = await inserted(store, newOperation());
    const hidden = await claimed(store, newOperation());
    const released = await claimed(store, newOperation());
    await store.hide(hidden.name);
    await store.release(released, true, cancelled);
    await store.report(running, { metadata: noMessage });
    const names = [running, queued, hidden, released].map((record) => record.name);
    for (const limit of [3, 100]) {
      const found = await unfinishedAmong(store, names, limit);
      assertSame(found.join(), names.join(), `what is unfinished, by ${limit}`);
    }
  }),
  storeCase("has nothing unfinished that is done or driven from outside", async (store) => {
    const external = await inserted(store, newOperation({ external: true }));
    const done = await finished(store, newOperation());
    const immediate = await inserted(store, newOperation({ result: response }));
    const stopped = await inserted(store, newOperation());
    await store.requestCancel(stopped.name, cancelled);
    const hidden = await claimed(store, newOperation());
    await store.hide(hidden.name);
    await store.finish(hidden, response);
    const names = [external, done, immediate, stopped, hidden].map((record) => record.name);
    assertSame((await unfinishedAmong(store, names, 100)).join(), "", "what is unfinished");
  }),
  storeCase("a walk of what is unfinished meets each once that lasts", async (store) => {
    const records: OperationRecord[] = [];
    for (let count = 0; count < 7; count += 1) records.push(await claimed(store, newOperation()));
    const [first] = records;
    const lasting = records.slice(1).map((record) => record.name);
    const walk = await unfinishedAmong(store, lasting, 2, async () => {
      if (first !== undefined) await store.finish(first, response);
      const last = records.at(-1);
      if (last !== undefined) await store.report(last, { metadata: noMessage });
    });
    assertSame(walk.join(), lasting.join(), "the lasting ones in the walk");
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
  storeCase(
    "server 31: answers nothing once it is closed, rather than not found",
    async (store) => {
      const { name } = await inserted(store, newOperation());
      await store.close();
      const error = await store.get(name).catch((thrown: unknown) => thrown);
      assertThat(error instanceof ConnectError, "the call is refused");
      assertSame(error.code, Code.Unavailable, "code");
    },
  ),
  storeCase("hands a transaction's own result on", async (store) => {
    const operation = newOperation();
    const kind = await store.transaction(
      async (transaction) => (await store.insert(operation, { transaction })).kind,
    );
    assertSame(kind, "inserted", "what the transaction returned");
    assertThat((await store.get(operation.name)) !== undefined, "the record is there");
  }),
  storeCase(
    "undoes all of a transaction that throws, where it hands one out, and nothing where it does not",
    async (store) => {
      const operation = newOperation();
      const claim = await claimed(store, newOperation());
      const deleted = await finished(store, newOperation());
      let handedOut = false;
      const outcome = await store
        .transaction(async (transaction) => {
          handedOut = transaction !== undefined;
          if (!handedOut) return "resolved";
          await store.insert(operation, { transaction });
          await store.finish(claim, response, undefined, { transaction });
          await store.hide(deleted.name, { transaction });
          throw new ConnectError("roll back", Code.Aborted);
        })
        .catch(() => "rejected");
      assertSame(outcome, handedOut ? "rejected" : "resolved", "the transaction");
      assertSame(await store.get(operation.name), undefined, "the insert");
      assertSame((await store.get(claim.name))?.state, "running", "the state of the finished one");
      assertThat((await store.get(deleted.name)) !== undefined, "the deleted one is there");
      assertSame((await store.finish(claim, response))?.state, "done", "the end after that");
    },
  ),
  storeCase(
    "shows what a transaction did to its own reads, and to all once it is over",
    async (store) => {
      const operation = newOperation();
      const record = await store.transaction(async (transaction) => {
        await store.insert(operation, { transaction });
        await store.requestCancel(operation.name, cancelled, { transaction });
        return store.get(operation.name, { transaction });
      });
      assertSame(record?.state, "done", "what its own read showed");
      assertSame((await store.get(operation.name))?.state, "done", "what a later read showed");
    },
  ),
  ...filterContract,
];
