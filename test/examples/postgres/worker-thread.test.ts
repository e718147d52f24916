import assert from "node:assert/strict";
import { Code, createRouterTransport } from "@connectrpc/connect";
import { describe, it, onTestFinished } from "vitest";
import { runInWorker } from "../../../examples/worker-thread/run-in-worker.js";
import { createLongRunningClient, OperationError } from "../../../src/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import { connectPostgres } from "../../../src/store/postgres/index.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";
import { rejectionOf } from "../../support/rejection.js";

interface Counted {
  readonly count: number;
}
interface Progress {
  readonly checked: number;
}

const module = new URL("../../../examples/worker-thread/count-primes.mjs", import.meta.url);
const isCounted = (message: Counted | Progress): message is Counted => "count" in message;

/** A service that counts the primes up to the number of pages, with a lease of ten seconds. */
async function serve() {
  const database = await createTestDatabase();
  const operations = createOperations({
    ...(await connectPostgres({ connectionString: database.url, maxConnections: 5 })),
    pageTokenKey: new Uint8Array(32),
  });
  onTestFinished(() => operations.shutdown({ graceMs: 0 }));
  const print = operations.handle(Print, async ({ request, report, signal }) => {
    const onProgress = ({ checked }: Progress) => report({ pagesPrinted: checked });
    const { count } = await runInWorker(module, request.pages, isCounted, onProgress, signal);
    return { pages: count };
  });
  const transport = createRouterTransport((router) => {
    router.service(PrintService, { print });
    router.service(Operations, operations.service);
  });
  return { database, printer: createLongRunningClient({ print: Print }, transport) };
}

describe("the example with a worker thread", () => {
  it("renews its lease while the work computes without a pause, and stops it at once", async () => {
    const { database, printer } = await serve();
    const handle = await printer.print({ pages: 2 ** 31 - 1 });
    const renewedAt = async () => {
      const { rows } = await database.pool.query<{ at: Date | null }>(
        "select heartbeat_on as at from longrunning_queue.job where data->>'name' = $1 and state = 'active'",
        [handle.name],
      );
      return rows[0]?.at?.getTime();
    };
    // Progress shows that the loop is under way.
    for await (const { metadata } of handle.watch()) {
      if ((metadata?.pagesPrinted ?? 0) > 0) break;
    }
    const first = await renewedAt();
    assert.ok(first !== undefined);
    // A lease is renewed every third of ten seconds.
    const endMs = performance.now() + 15_000;
    while ((await renewedAt()) === first) {
      assert.ok(performance.now() < endMs, "the lease was not renewed");
    }
    await handle.cancel();
    const error = await rejectionOf(handle.result());
    assert.ok(error instanceof OperationError);
    assert.equal(error.code, Code.Canceled);
  }, 60_000);

  it("returns the result of the thread", async () => {
    const { printer } = await serve();
    assert.equal((await (await printer.print({ pages: 100 })).result()).pages, 25);
  }, 60_000);
});
