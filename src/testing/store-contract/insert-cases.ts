import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, type ContractCase, present } from "../contract.js";
import {
  cancelled,
  inserted,
  newOperation,
  noMessage,
  requestId,
  response,
  storeCase,
} from "./store-case.js";

/** Inserts. */
export const insertCases: readonly ContractCase<OperationStore>[] = [
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
  storeCase("keeps the trace context of the start, for the claim too", async (store) => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (const traceContext of [
      undefined,
      { traceparent, tracestate: undefined },
      { traceparent, tracestate: "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7" },
    ]) {
      const { name } = await inserted(store, newOperation({ traceContext }));
      for (const record of [await store.get(name), await store.claim(name)]) {
        const kept = present(record, "the record").traceContext;
        assertSame(kept?.traceparent, traceContext?.traceparent, "traceparent");
        assertSame(kept?.tracestate, traceContext?.tracestate, "tracestate");
      }
    }
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
];
