import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, it, onTestFinished } from "vitest";
import { createLongRunningClient, createOperationsClient } from "../../../src/index.js";
import { startReplica } from "../../support/postgres/replica.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";
import { startCommand } from "../support/command-in-process.js";
import { scrape } from "../support/scrape.js";

const method = { connect_longrunning_method: "printing.v1.PrintService/Print" };

it("longrunning serve --database-url shows the queue's depth, workers' losses and the wake latency of other replicas' waiters", async () => {
  const { url: database } = await createTestDatabase();
  const replica = async () => {
    const started = await startReplica(database, "worker");
    onTestFinished(() => started[Symbol.asyncDispose]());
    return started;
  };
  const started = startCommand([
    ...["serve", "--port", "0", "--metrics-port", "0", "--database-url", database],
  ]);
  onTestFinished(async () => {
    started.interrupt();
    await started.ended;
  });
  const [, url = "", metricsUrl = ""] = await started.wrote(
    "stdout",
    /^listening on (.*)\nmetrics at (.*)\n/,
  );
  const transportTo = (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2" });

  // It takes one at a time, and its first attempts do not end.
  const killed = await replica();
  const printer = createLongRunningClient({ print: Print }, transportTo(killed.baseUrl));
  const running = await printer.print({ pages: 1 });
  await killed.heard("claimed", running.name);
  await printer.print({ pages: 1 });
  const shown = (await scrape(metricsUrl)).valueOf;
  const open = "connect_longrunning_operations_open";
  expect(shown(open, { ...method, connect_longrunning_state: "running" })).toBe(1);
  expect(shown(open, { ...method, connect_longrunning_state: "queued" })).toBe(1);
  expect(shown("connect_longrunning_operations_lost_attempts", method)).toBe(0);

  const served = createOperationsClient(transportTo(url));
  const wait = served.wait(running.name, 60_000);
  killed.kill("SIGKILL");
  // Two, as the queued one is begun by the one and never ends.
  await Promise.all([replica(), replica()]);
  expect((await wait).done).toBe(true);
  const value = async (name: string) => (await scrape(metricsUrl)).valueOf(name, method);
  // Counts are 5 s old at most, and the first ones were made before the kill.
  await expect
    .poll(() => value("connect_longrunning_operations_lost_attempts"), { timeout: 10_000 })
    .toBe(1);
  expect(await value("connect_longrunning_wake_duration_seconds_count")).toBe(1);
  // By far sooner than the 5 s after which a waiter polls anyway.
  expect(await value("connect_longrunning_wake_duration_seconds_sum")).toBeLessThan(2);
}, 60_000);
