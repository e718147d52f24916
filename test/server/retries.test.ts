import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { RetryInfoSchema } from "../../src/protos.js";
import { createMemoryStore, type OperationStore } from "../../src/store/index.js";
import { createManualClock, createTestOperations } from "../../src/testing/index.js";
import { BookSchema } from "../gen/library/v1/library_pb.js";
import { createDeferred } from "../support/deferred.js";
import { errorOf, reasonOf } from "../support/operation-end.js";
import { createPrintServer, Print, type PrintServerOptions } from "../support/print-server.js";
import { untilAborted } from "../support/print-work.js";

const away = (message = "away") => new ConnectError(message, Code.Unavailable);

/** Work that throws what each attempt is to throw, and then succeeds; and when each began. */
function createFailing(thrown: readonly unknown[], options: PrintServerOptions = {}) {
  const clock = options.clock ?? createManualClock();
  const startMs = clock.nowMs();
  const atMs: number[] = [];
  const server = createPrintServer(
    () => {
      atMs.push(clock.nowMs() - startMs);
      const failure = thrown[atMs.length - 1];
      if (failure !== undefined) throw failure;
      return { pages: 1 };
    },
    { ...options, clock },
  );
  return { ...server, atMs };
}

describe("work that fails", () => {
  it("is not tried again unless its method says so", async () => {
    const { printer, client, clock, atMs } = createFailing([away()]);
    const { name } = await printer.print({});
    await clock.advance(3_600_000);
    expect(errorOf(await client.get(name)).code).toBe(Code.Unavailable);
    expect(atMs).toEqual([0]);
  });

  it("is tried again after ever longer pauses, up to the longest, until it succeeds", async () => {
    const { printer, client, clock, atMs } = createFailing(Array(5).fill(away()), {
      method: {
        retry: { maxAttempts: 6, initialDelayMs: 100, multiplier: 3, maxDelayMs: 1000 },
      },
    });
    const { name } = await printer.print({});
    await clock.advance(60_000);
    expect(atMs).toEqual([0, 100, 400, 1300, 2300, 3300]);
    expect((await client.get(name)).result.case).toBe("response");
  });

  it("keeps to a longest pause of none, however often it is tried", async () => {
    const { printer, clock, atMs } = createFailing(Array(4).fill(away()), {
      method: {
        retry: { initialDelayMs: 0, multiplier: Number.MAX_VALUE, maxDelayMs: 1000 },
      },
    });
    await printer.print({});
    await clock.advance(0);
    expect(atMs).toEqual([0, 0, 0, 0, 0]);
  });

  it("is handed the request as it was sent, whatever an earlier attempt wrote to its bytes", async () => {
    const { method, response, metadata } = Print;
    const Cover = { method: { ...method, input: BookSchema }, response, metadata };
    const seen: (number | undefined)[] = [];
    const { operations, clock } = createTestOperations((_, { handle }) => {
      handle(Cover, ({ request, continueLater }) => {
        seen.push(request.cover[0]);
        request.cover.fill(0);
        return seen.length === 1 ? continueLater() : { pages: 1 };
      });
    });
    await operations.start(Cover, { cover: new Uint8Array(10_000).fill(7) });
    await clock.advance(0);
    expect(seen).toEqual([7, 7]);
  });

  it("ends with the error of its last attempt", async () => {
    const thrown = ["first", "second", "third"].map(away);
    const { printer, client, clock, atMs } = createFailing(thrown, {
      method: { retry: { maxAttempts: 3 } },
    });
    const { name } = await printer.print({});
    await clock.advance(2999);
    expect((await client.get(name)).done).toBe(false);
    await clock.advance(1);
    expect(errorOf(await client.get(name)).rawMessage).toBe("third");
    expect(atMs).toEqual([0, 1000, 3000]);
  });

  it("may have more attempts than may be lost", async () => {
    const { printer, client, clock, atMs } = createFailing(Array(5).fill(away()), {
      maxLostAttempts: 2,
      method: { retry: { maxAttempts: 6, initialDelayMs: 1 } },
    });
    const { name } = await printer.print({});
    await clock.advance(60_000);
    expect(atMs).toHaveLength(6);
    expect((await client.get(name)).result.case).toBe("response");
  });

  it.each([
    ["another code", new ConnectError("x", Code.Aborted)],
    ["what is no ConnectError", new Error("x")],
  ])("is not tried again for %s (AIP-194)", async (_, thrown) => {
    const { printer, client, clock, atMs } = createFailing([thrown], { method: { retry: {} } });
    const { name } = await printer.print({});
    await clock.advance(3_600_000);
    expect((await client.get(name)).result.case).toBe("error");
    expect(atMs).toEqual([0]);
  });

  it("is tried again for whatever its method says may pass", async () => {
    const { printer, client, clock, atMs } = createFailing([new TypeError("x"), away()], {
      method: { retry: { isRetryable: (thrown) => thrown instanceof TypeError } },
    });
    const { name } = await printer.print({});
    await clock.advance(3_600_000);
    expect(atMs).toEqual([0, 1000]);
    expect(errorOf(await client.get(name)).code).toBe(Code.Unavailable);
  });

  it("ends with its error where that judgement fails itself, which is logged", async () => {
    const cause = new Error("a bug");
    const { printer, client, clock, events } = createFailing([away()], {
      method: {
        retry: {
          isRetryable() {
            throw cause;
          },
        },
      },
    });
    const { name } = await printer.print({});
    await clock.advance(3_600_000);
    expect(errorOf(await client.get(name)).code).toBe(Code.Unavailable);
    expect(events).toMatchObject([{ kind: "work-failed", name, cause }]);
  });

  it("is tried again when its RetryInfo says, and no later", async () => {
    const value = { retryDelay: { seconds: 7n, nanos: 500_000_000 } };
    const hinted = new ConnectError("x", Code.Unavailable, undefined, [
      { desc: RetryInfoSchema, value },
    ]);
    const { printer, clock, atMs } = createFailing([hinted, away()], { method: { retry: {} } });
    await printer.print({});
    await clock.advance(60_000);
    expect(atMs).toEqual([0, 7500, 9500]);
  });

  it("is cancelled at once while it waits for its next attempt", async () => {
    const { printer, client, clock, atMs } = createFailing([away()], { method: { retry: {} } });
    const { name } = await printer.print({});
    await clock.advance(500);
    await client.cancel(name);
    expect(reasonOf(await client.get(name))).toBe("CANCELLED_BY_REQUEST");
    await clock.advance(60_000);
    expect(atMs).toEqual([0]);
  });

  it("keeps its last report through the pause", async () => {
    const { printer, client, clock } = createPrintServer(
      (operation) => {
        if (operation.attempt > 1) return untilAborted(operation);
        operation.report({ pagesPrinted: 1 });
        operation.report({ pagesPrinted: 2 });
        throw away();
      },
      { method: { retry: {} } },
    );
    const handle = await printer.print({});
    await clock.advance(500);
    const resumed = await client.get(handle.name);
    expect(resumed.metadata?.value).toEqual(Uint8Array.of(8, 2));
  });

  it("is not an attempt of its own when a shutdown stops it", async () => {
    const clock = createManualClock();
    const store: OperationStore = { ...createMemoryStore({ clock }), close: async () => undefined };
    const first = createPrintServer(untilAborted, { clock, store, method: { retry: {} } });
    const { name } = await first.printer.print({});
    await clock.advance(0);
    const stopped = first.operations.shutdown({ graceMs: 10 });
    await clock.advance(20);
    await stopped;
    expect(await store.get(name)).toMatchObject({ state: "queued", attempt: 1, handovers: 1 });
  });
});

describe("a checkpoint", () => {
  it("is handed to the next attempt, and to none after the end", async () => {
    const seen: (string | undefined)[] = [];
    const { printer, client, clock } = createPrintServer(
      async (operation) => {
        const text = operation.checkpoint && new TextDecoder().decode(operation.checkpoint);
        seen.push(text);
        if (operation.attempt === 3) return { pages: 3 };
        const checkpoint = new TextEncoder().encode(`page ${operation.attempt}`);
        const saved = operation.saveCheckpoint(checkpoint);
        // The caller may change its bytes afterwards.
        checkpoint.fill(0);
        await saved;
        throw away();
      },
      { method: { retry: {} } },
    );
    const { name } = await printer.print({});
    await clock.advance(60_000);
    expect(seen).toEqual([undefined, "page 1", "page 2"]);
    expect((await client.get(name)).result.case).toBe("response");
  });

  it("of 1 MiB is kept, and a longer one is a RangeError", async () => {
    const outcomes: unknown[] = [];
    const { printer, clock } = createPrintServer(async (operation) => {
      for (const bytes of [1024 * 1024, 1024 * 1024 + 1]) {
        const saved = operation.saveCheckpoint(new Uint8Array(bytes));
        outcomes.push(
          await saved.then(
            () => "kept",
            (error: unknown) => error instanceof RangeError,
          ),
        );
      }
      return { pages: 1 };
    });
    await printer.print({});
    await clock.advance(0);
    expect(outcomes).toEqual(["kept", true]);
  });

  it("is refused to an attempt that has lost its operation, with ABORTED", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const gate = createDeferred();
    const outcome = createDeferred<{ aborted: boolean; error: unknown }>();
    const { printer } = createPrintServer(
      async (operation) => {
        await gate.promise;
        const error = await operation.saveCheckpoint(Uint8Array.of(1)).catch((e: unknown) => e);
        outcome.resolve({ aborted: operation.signal.aborted, error });
        return {};
      },
      { clock, store },
    );
    const { name } = await printer.print({});
    await clock.advance(0);
    await store.claim(name);
    gate.resolve();
    expect(await outcome.promise).toMatchObject({ aborted: true, error: { code: Code.Aborted } });
    expect((await store.get(name))?.checkpoint).toBeUndefined();
  });
});

describe("work that goes on later", () => {
  it("does so after its delay with its checkpoint, as often as it likes, and uses up no attempt", async () => {
    const clock = createManualClock();
    const startMs = clock.nowMs();
    const seen: [atMs: number, checkpoint: number | undefined][] = [];
    const { printer, client } = createPrintServer(
      (operation) => {
        const step = operation.checkpoint?.[0];
        seen.push([clock.nowMs() - startMs, step]);
        operation.report({ pagesPrinted: step ?? 0 });
        if (step === 20) return { pages: 20 };
        const checkpoint = Uint8Array.of((step ?? 0) + 1);
        return operation.continueLater({ checkpoint, delayMs: 60_000 });
      },
      { clock, maxLostAttempts: 2 },
    );
    const { name } = await printer.print({});
    await clock.advance(90_000);
    expect((await client.get(name)).done).toBe(false);
    await clock.advance(20 * 60_000);
    expect(seen.slice(0, 3)).toEqual([
      [0, undefined],
      [60_000, 1],
      [120_000, 2],
    ]);
    expect(seen).toHaveLength(21);
    expect((await client.get(name)).result.case).toBe("response");
  });

  it("keeps its last checkpoint without a new one, and goes on at once", async () => {
    const { printer, client, clock } = createPrintServer(async (operation) => {
      if (operation.checkpoint !== undefined) return { pages: operation.checkpoint[0] ?? 0 };
      await operation.saveCheckpoint(Uint8Array.of(9));
      return operation.continueLater();
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    expect((await client.get(name)).result.case).toBe("response");
  });

  it("ends CANCELLED where that was asked for meanwhile", async () => {
    const gate = createDeferred();
    const { printer, client, clock } = createPrintServer(async (operation) => {
      await gate.promise;
      return operation.continueLater({ delayMs: 1000 });
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    await client.cancel(name);
    gate.resolve();
    await clock.advance(0);
    expect(reasonOf(await client.get(name))).toBe("CANCELLED_BY_REQUEST");
    expect(clock.scheduled()).toBe(0);
  });

  it.each([
    ["delayMs", { delayMs: -1 }],
    ["checkpoint", { checkpoint: new Uint8Array(1024 * 1024 + 1) }],
  ])("fails with nonsense as %s", async (_, options) => {
    const { printer, client, clock, events } = createPrintServer((operation) =>
      operation.continueLater(options),
    );
    const { name } = await printer.print({});
    await clock.advance(0);
    expect(errorOf(await client.get(name)).code).toBe(Code.Unknown);
    expect(events).toMatchObject([{ kind: "work-failed", cause: expect.any(RangeError) }]);
  });
});
