import assert from "node:assert/strict";
import { once } from "node:events";
import { Code } from "@connectrpc/connect";
import { it } from "vitest";
import { createRuns } from "../../src/restate/runs.js";
import type { Delivery, Settlement } from "../../src/store/dispatcher.js";
import { createDeferred } from "../support/deferred.js";
import { rejectionOf } from "../support/rejection.js";

it("does not settle a delivery that joins a lost run, so that Restate delivers the operation again", async () => {
  const runs = createRuns({ maxConcurrent: 1, rejoinMs: 1 });
  const operation = { name: "operations/a", method: "x.v1.X/Run", tenant: "" };
  const began = createDeferred<Delivery>();
  const stopped = createDeferred<Settlement>();
  runs.serve(
    operation.method,
    (delivery) => {
      began.resolve(delivery);
      return stopped.promise;
    },
    undefined,
  );
  const connection = new AbortController();
  const first = rejectionOf(runs.run(operation, connection.signal));
  const { signal } = await began.promise;
  assert.ok(signal !== undefined);
  const lost = once(signal, "abort");
  connection.abort();
  await lost;
  const joined = rejectionOf(runs.run(operation, new AbortController().signal));
  // The run loop settles a delivery that has lost its operation.
  stopped.resolve({ kind: "settled" });
  assert.equal((await first).code, Code.Unavailable);
  assert.equal((await joined).code, Code.Unavailable);
});
