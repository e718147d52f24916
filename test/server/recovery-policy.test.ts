import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { Recovery } from "../../src/server/index.js";
import {
  createInProcessDispatcher,
  createMemoryStore,
  type Dispatcher,
  type OperationStore,
} from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { errorOf, reasonOf } from "../support/operation-end.js";
import { createPrintServer, Print, type PrintWork } from "../support/print-server.js";
import { never, untilAborted } from "../support/print-work.js";

const method = "printing.v1.PrintService/Print";

/** The checkpoints that the attempts at one operation got. */
interface Begun {
  readonly attempt: number;
  readonly checkpoint: number[] | undefined;
}

/** A server of this policy whose attempts note what they were handed, and a way to lose one. */
function createServerOf(recovery: Recovery | undefined, work: PrintWork) {
  const clock = createManualClock();
  const store: OperationStore = { ...createMemoryStore({ clock }), close: async () => undefined };
  const dispatcher: Dispatcher = createInProcessDispatcher({ clock });
  const begun: Begun[] = [];
  const noted: PrintWork = async (operation) => {
    const { attempt, checkpoint } = operation;
    begun.push({ attempt, checkpoint: checkpoint && [...checkpoint] });
    return work(operation);
  };
  const options = { clock, store, method: { recovery, retry: { initialDelayMs: 0 } } };
  const server = createPrintServer(noted, { ...options, dispatcher });
  return {
    ...server,
    begun,
    /** Deliver an operation again, as when its worker is taken for dead. */
    async lose(name: string) {
      await dispatcher.dispatch([{ name, method }]);
      await clock.advance(0);
    },
    /** Another server over the same store. */
    successor: () => createPrintServer(noted, options),
  };
}

/** Leaves a checkpoint and does not end, but for the third attempt. */
const threeAttempts: PrintWork = async ({ attempt, saveCheckpoint }) => {
  if (attempt === 3) return { pages: 3 };
  await saveCheckpoint(Uint8Array.of(attempt));
  return never();
};

describe("an operation whose worker is lost", () => {
  it.each<[Recovery | undefined, Begun["checkpoint"][]]>([
    ["resume", [undefined, [1], [2]]],
    [undefined, [undefined, [1], [2]]],
    ["restart", [undefined, undefined, undefined]],
  ])("with the policy %s: its attempts are handed %j", async (recovery, checkpoints) => {
    const { operations, client, clock, begun, lose } = createServerOf(recovery, threeAttempts);
    const { name } = await operations.start(Print, {});
    await clock.advance(0);
    await lose(name);
    await lose(name);
    expect(begun.map(({ checkpoint }) => checkpoint)).toEqual(checkpoints);
    expect((await client.get(name)).result.case).toBe("response");
  });

  it("with the policy fail: ends ABORTED, WORKER_LOST, and runs no second time", async () => {
    const { operations, client, begun, lose } = createServerOf("fail", () => never());
    const { name } = await operations.start(Print, {});
    await lose(name);
    const operation = await client.get(name);
    expect(errorOf(operation).code).toBe(Code.Aborted);
    expect(reasonOf(operation)).toBe("WORKER_LOST");
    expect(begun).toHaveLength(1);
  });

  it("with the policy fail: ends CANCELLED where that was asked for", async () => {
    const { operations, client, clock, begun, lose } = createServerOf("fail", () => never());
    const { name } = await operations.start(Print, {});
    await clock.advance(0);
    await client.cancel(name);
    await lose(name);
    expect(errorOf(await client.get(name)).code).toBe(Code.Canceled);
    expect(begun).toHaveLength(1);
  });
});

describe("an attempt that is given back", () => {
  it.each<Recovery>(["restart", "fail"])(
    "is not lost with the policy %s when its work is tried again, and keeps its checkpoint",
    async (recovery) => {
      const { operations, client, clock, begun } = createServerOf(recovery, async (operation) => {
        if (operation.attempt === 2) return { pages: 2 };
        await operation.saveCheckpoint(Uint8Array.of(1));
        throw new ConnectError("away", Code.Unavailable);
      });
      const { name } = await operations.start(Print, {});
      await clock.advance(1);
      expect((await client.get(name)).result.case).toBe("response");
      expect(begun).toEqual([
        { attempt: 1, checkpoint: undefined },
        { attempt: 2, checkpoint: [1] },
      ]);
    },
  );

  it.each<Recovery>(["restart", "fail"])(
    "is not lost with the policy %s when its work goes on later, and keeps its checkpoint",
    async (recovery) => {
      const { operations, client, clock, begun } = createServerOf(
        recovery,
        ({ attempt, continueLater }) =>
          attempt === 2 ? { pages: 2 } : continueLater({ checkpoint: Uint8Array.of(1) }),
      );
      const { name } = await operations.start(Print, {});
      await clock.advance(1);
      expect((await client.get(name)).result.case).toBe("response");
      expect(begun.map(({ checkpoint }) => checkpoint)).toEqual([undefined, [1]]);
    },
  );

  it.each<Recovery>(["restart", "fail"])(
    "is not lost with the policy %s when a shutdown hands it over, and keeps its checkpoint",
    async (recovery) => {
      const { operations, clock, begun, successor } = createServerOf(
        recovery,
        async (operation) => {
          if (operation.attempt === 2) return { pages: 2 };
          await operation.saveCheckpoint(Uint8Array.of(1));
          return untilAborted(operation);
        },
      );
      const { name } = await operations.start(Print, {});
      await clock.advance(0);
      const stopped = operations.shutdown({ graceMs: 10 });
      await clock.advance(10);
      await stopped;
      const { client } = successor();
      await clock.advance(0);
      expect((await client.get(name)).result.case).toBe("response");
      expect(begun.map(({ checkpoint }) => checkpoint)).toEqual([undefined, [1]]);
    },
  );
});
