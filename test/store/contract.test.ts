import { describe, it } from "vitest";
import {
  createInProcessDispatcher,
  createInProcessSignals,
  createMemoryStore,
} from "../../src/store/index.js";
import { dispatcherContract, signalsContract, storeContract } from "../../src/testing/index.js";

describe("OperationStore in memory", () => {
  for (const { title, run } of storeContract) {
    it(title, async () => {
      const store = createMemoryStore();
      await run(store);
      await store.close();
    });
  }
});

describe("Dispatcher in process", () => {
  for (const { title, run } of dispatcherContract) {
    it(title, () => run(createInProcessDispatcher()));
  }
});

describe("Signals in process", () => {
  for (const { title, run } of signalsContract) {
    it(title, async () => {
      const signals = createInProcessSignals();
      await run(signals);
      await signals.close();
    });
  }
});
