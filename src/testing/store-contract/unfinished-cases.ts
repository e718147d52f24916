import type { OperationRecord, OperationStore } from "../../store/operation-store.js";
import { assertSame, type ContractCase } from "../contract.js";
import {
  cancelled,
  claimed,
  finished,
  inserted,
  newOperation,
  noMessage,
  response,
  storeCase,
  unfinishedAmong,
} from "./store-case.js";

/** The unfinished operations, which a server dispatches again when it starts. */
export const unfinishedCases: readonly ContractCase<OperationStore>[] = [
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
];
