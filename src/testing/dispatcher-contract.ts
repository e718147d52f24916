import type { Delivery, Dispatcher, Settlement } from "../store/dispatcher.js";
import { assertSame, assertThat, type ContractCase, contractCase } from "./contract.js";

const settled: Settlement = { kind: "settled" };
const newName = () => `operations/${crypto.randomUUID()}`;
const newMethod = () => `test.v1.Service/M${crypto.randomUUID()}`;

/** Collects the deliveries of a dispatcher, so that a test can await them. */
function createDeliveries(settle: (delivery: Delivery, count: number) => Settlement) {
  const seen: Delivery[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  return {
    async run(delivery: Delivery): Promise<Settlement> {
      seen.push(delivery);
      for (const { count, resolve } of waiting) if (seen.length >= count) resolve();
      return settle(delivery, seen.length);
    },
    /** The number of deliveries so far. */
    count: () => seen.length,
    /** Resolves with the first `count` deliveries, as soon as there are that many. */
    first: (count: number) =>
      new Promise<Delivery[]>((resolve) => {
        const give = () => resolve(seen.slice(0, count));
        if (seen.length >= count) give();
        else waiting.push({ count, resolve: give });
      }),
  };
}

const dispatcherCase = (title: string, run: (dispatcher: Dispatcher) => Promise<void>) =>
  contractCase<Dispatcher>(title, run);

/** The contract of `Dispatcher`. Each case needs a fresh dispatcher and leaves it stopped. */
export const dispatcherContract: readonly ContractCase<Dispatcher>[] = [
  dispatcherCase("delivers what is dispatched, by name and method", async (dispatcher) => {
    const method = newMethod();
    const deliveries = createDeliveries(() => settled);
    dispatcher.serve(method, deliveries.run);
    const name = newName();
    await dispatcher.dispatch([{ name, method }]);
    const [delivery] = await deliveries.first(1);
    assertSame(delivery?.name, name, "name");
    assertSame(delivery?.method, method, "method");
    assertSame(delivery?.signal?.aborted ?? false, false, "aborted");
    await dispatcher.stop();
  }),
  dispatcherCase(
    "delivers what was dispatched before its method was served",
    async (dispatcher) => {
      const method = newMethod();
      const name = newName();
      await dispatcher.dispatch([{ name, method }]);
      const deliveries = createDeliveries(() => settled);
      dispatcher.serve(method, deliveries.run);
      const [delivery] = await deliveries.first(1);
      assertSame(delivery?.name, name, "name");
      await dispatcher.stop();
    },
  ),
  dispatcherCase("hands each method's operations to its own runner", async (dispatcher) => {
    const [one, other] = [newMethod(), newMethod()];
    const ofOne = createDeliveries(() => settled);
    const ofOther = createDeliveries(() => settled);
    dispatcher.serve(one, ofOne.run);
    dispatcher.serve(other, ofOther.run);
    const name = newName();
    await dispatcher.dispatch([{ name: newName(), method: one }]);
    await dispatcher.dispatch([{ name, method: other }]);
    const [delivery] = await ofOther.first(1);
    assertSame(delivery?.name, name, "name");
    await ofOne.first(1);
    await dispatcher.stop();
  }),
  dispatcherCase("delivers each of many that are dispatched by one call", async (dispatcher) => {
    const [one, other] = [newMethod(), newMethod()];
    const [ofOne, ofOther] = [createDeliveries(() => settled), createDeliveries(() => settled)];
    dispatcher.serve(one, ofOne.run);
    dispatcher.serve(other, ofOther.run);
    const operations = [one, other, one].map((method) => ({ name: newName(), method }));
    await dispatcher.dispatch([]);
    await dispatcher.dispatch(operations);
    const delivered = [...(await ofOne.first(2)), ...(await ofOther.first(1))];
    assertSame(
      delivered
        .map(({ name }) => name)
        .toSorted()
        .join(),
      operations
        .map(({ name }) => name)
        .toSorted()
        .join(),
      "names",
    );
    await dispatcher.stop();
  }),
  dispatcherCase("delivers again what asks for a retry", async (dispatcher) => {
    const method = newMethod();
    const deliveries = createDeliveries((_, count) =>
      count < 3 ? { kind: "retry", delayMs: 1 } : settled,
    );
    dispatcher.serve(method, deliveries.run);
    const name = newName();
    await dispatcher.dispatch([{ name, method }]);
    const names = (await deliveries.first(3)).map((delivery) => delivery.name);
    assertSame(names.join(), [name, name, name].join(), "names");
    await dispatcher.stop();
  }),
  dispatcherCase("delivers again what goes on later", async (dispatcher) => {
    const method = newMethod();
    const deliveries = createDeliveries((_, count) =>
      count === 1 ? { kind: "continue", delayMs: 1 } : settled,
    );
    dispatcher.serve(method, deliveries.run);
    const name = newName();
    await dispatcher.dispatch([{ name, method }]);
    const names = (await deliveries.first(2)).map((delivery) => delivery.name);
    assertSame(names.join(), [name, name].join(), "names");
    await dispatcher.stop();
  }),
  dispatcherCase(
    "runs no more of a method side by side than it was told to, and others meanwhile",
    async (dispatcher) => {
      const [narrow, wide] = [newMethod(), newMethod()];
      let finish: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const ofNarrow = createDeliveries(() => settled);
      const ofWide = createDeliveries(() => settled);
      dispatcher.serve(
        narrow,
        async (delivery) => {
          const settlement = await ofNarrow.run(delivery);
          await gate;
          return settlement;
        },
        { maxConcurrent: 2 },
      );
      dispatcher.serve(wide, ofWide.run);
      for (let count = 0; count < 3; count += 1) {
        await dispatcher.dispatch([{ name: newName(), method: narrow }]);
      }
      await dispatcher.dispatch([{ name: newName(), method: wide }]);
      await ofWide.first(1);
      await ofNarrow.first(2);
      assertSame(ofNarrow.count(), 2, "how many of the narrow one run");
      finish();
      await ofNarrow.first(3);
      await dispatcher.stop();
    },
  ),
  dispatcherCase("delivers once what is settled, and the next one after it", async (dispatcher) => {
    const method = newMethod();
    const deliveries = createDeliveries(() => settled);
    dispatcher.serve(method, deliveries.run);
    const names = [newName(), newName(), newName()];
    for (const [at, name] of names.entries()) {
      await dispatcher.dispatch([{ name, method }]);
      await deliveries.first(at + 1);
    }
    await dispatcher.stop();
    const seen = (await deliveries.first(3)).map((delivery) => delivery.name);
    assertSame(seen.join(), names.join(), "what was delivered");
    assertSame(deliveries.count(), 3, "how often");
  }),
  dispatcherCase("does not retry before the delay is over", async (dispatcher) => {
    const method = newMethod();
    const times: number[] = [];
    const deliveries = createDeliveries((_, count) => {
      times.push(performance.now());
      return count === 1 ? { kind: "retry", delayMs: 50 } : settled;
    });
    dispatcher.serve(method, deliveries.run);
    await dispatcher.dispatch([{ name: newName(), method }]);
    await deliveries.first(2);
    const [first = 0, second = 0] = times;
    // Timers may fire a little early.
    assertThat(second - first >= 45, `the retry waits for 50 ms, not ${second - first}`);
    await dispatcher.stop();
  }),
  dispatcherCase(
    "delivers again what a run rejects for, against its contract",
    async (dispatcher) => {
      const method = newMethod();
      let runs = 0;
      const again = new Promise<void>((resolve) => {
        dispatcher.serve(method, async () => {
          runs += 1;
          if (runs === 1) throw new Error("a bug");
          resolve();
          return settled;
        });
      });
      await dispatcher.dispatch([{ name: newName(), method }]);
      await again;
      await dispatcher.stop();
    },
  ),
  dispatcherCase("waits at its stop for what is under way", async (dispatcher) => {
    const method = newMethod();
    let finish: (settlement: Settlement) => void = () => undefined;
    let ended = false;
    const started = new Promise<void>((resolve) => {
      dispatcher.serve(method, () => {
        resolve();
        return new Promise<Settlement>((settle) => {
          finish = settle;
        }).then((settlement) => {
          ended = true;
          return settlement;
        });
      });
    });
    await dispatcher.dispatch([{ name: newName(), method }]);
    await started;
    const stopped = dispatcher.stop().then(() => ended);
    finish(settled);
    assertSame(await stopped, true, "whether it had ended before the stop resolved");
  }),
  dispatcherCase(
    "stops although what is under way is handed over or failed",
    async (dispatcher) => {
      const method = newMethod();
      const settlements: Settlement[] = [{ kind: "handover" }, { kind: "retry", delayMs: 1 }];
      let stopping: () => void = () => undefined;
      const stopBegan = new Promise<void>((resolve) => {
        stopping = resolve;
      });
      let runs = 0;
      const started = new Promise<void>((resolve) => {
        dispatcher.serve(method, async () => {
          const settlement = settlements[runs] ?? settled;
          runs += 1;
          if (runs === settlements.length) resolve();
          await stopBegan;
          return settlement;
        });
      });
      for (const _ of settlements) await dispatcher.dispatch([{ name: newName(), method }]);
      await started;
      const stopped = dispatcher.stop();
      stopping();
      await stopped;
      assertSame(runs, settlements.length, "how many runs there were");
    },
  ),
  dispatcherCase("stops at once where nothing is under way, and once more", async (dispatcher) => {
    dispatcher.serve(newMethod(), createDeliveries(() => settled).run);
    await dispatcher.stop();
    await dispatcher.stop();
  }),
];
