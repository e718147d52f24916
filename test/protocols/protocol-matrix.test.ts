import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, it } from "vitest";
import type { Clock } from "../../src/index.js";
import type { OperationsEvent } from "../../src/server/index.js";
import { Print } from "../support/print-server.js";
import { cases, long } from "./cases.js";
import { createHastyClock } from "./hasty-clock.js";
import { type Wire, wires } from "./wires.js";
import { openWorld, type World } from "./world.js";

describe.each(titled(wires))("over %s", (_, wire) => {
  it.each(titled(cases))("%s", async (_, { observe, expected, ...inJson }) => {
    await inWorld(wire, async (world) => {
      const observed = world.masked(await observe(world));
      const { expectedInJson = expected, expectedInJsonOfConnect = expectedInJson } = inJson;
      const { expectedInJsonByFetch = expectedInJson } = inJson;
      const ofClient = wire.isByFetch ? expectedInJsonByFetch : expectedInJson;
      const ofServer = wire.isInProcess ? expectedInJsonOfConnect : ofClient;
      const wanted = wire.format === "json" ? ofServer : expected;
      assert.deepEqual(observed, wanted);
    });
  });

  it("a client that goes away frees its waiter and lets the operation run on", async () => {
    await inWorld(wire, async ({ create, operations, rpc, signals }) => {
      const name = await create();
      const client = new AbortController();
      const waited = rpc.waitOperation({ name, timeout: long }, { signal: client.signal });
      await signals.subscribed(name, 1);
      client.abort();
      await assert.rejects(waited, (error) => {
        return error instanceof ConnectError && error.code === Code.Canceled;
      });
      await signals.subscribed(name, 0);
      assert.equal((await rpc.getOperation({ name })).done, false);
      await operations.succeed(Print, name, { pages: 1 });
      assert.equal((await rpc.getOperation({ name })).done, true);
    });
  });

  it("a wait is answered shortly before a deadline that is shorter than its timeout", async () => {
    const clock = createHastyClock();
    await inWorld(
      wire,
      async ({ create, rpc }) => {
        const name = await create();
        const operation = await rpc.waitOperation({ name, timeout: long }, { timeoutMs: 20_000 });
        assert.equal(operation.done, false);
        const [delayMs = 0, ...more] = clock.delaysMs;
        assert.ok(delayMs > 15_000 && delayMs < 19_900, `held for ${delayMs} ms`);
        assert.deepEqual(more, []);
      },
      clock,
    );
  });
});

/** The rows of a table, each with its title before it: vitest cuts a `$title` off. */
function titled<Row extends { title: string }>(rows: readonly Row[]): [string, Row][] {
  return rows.map((row) => [row.title, row]);
}

/** Run a test with a server and a client of its own, and hold that nothing went wrong behind its back. */
async function inWorld(
  wire: Wire,
  test: (world: World) => Promise<void>,
  clock?: Clock,
): Promise<void> {
  const world = await openWorld(wire, clock);
  let events: OperationsEvent[];
  try {
    await test(world);
  } finally {
    events = await world.close();
  }
  assert.deepEqual(events, []);
}
