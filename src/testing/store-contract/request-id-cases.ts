import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase } from "../contract.js";
import { finished, inserted, newOperation, requestId, storeCase } from "./store-case.js";

/** Request ids (AIP-155). */
export const requestIdCases: readonly ContractCase<OperationStore>[] = [
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
];
