import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { exitCodes } from "../../src/cli/exit-codes.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";
import { runCommand, startCommand } from "./support/command-in-process.js";
import { operationsOfEveryState } from "./support/operations-of-every-state.js";
import { scrape } from "./support/scrape.js";

/** Serve some operations and metrics, both on free ports, to the end of the test. */
async function serve(...args: string[]) {
  const folder = await createTemporaryFolder();
  const load = join(folder, "operations.json");
  const operations = operationsOfEveryState(6);
  await writeFile(load, JSON.stringify({ operations }));
  const data = join(folder, "operations.db");
  const ports = ["--port", "0", "--metrics-port", "0"];
  const place = args.map((argument) => (argument === "DATA" ? data : argument));
  const started = startCommand(["serve", ...ports, "--load", load, ...place]);
  const stop = async () => {
    started.interrupt();
    return started.ended;
  };
  onTestFinished(async () => void (await stop()));
  const [, url = "", metricsUrl = ""] = await started.wrote(
    "stdout",
    /^listening on (.*)\nmetrics at (.*)\n/,
  );
  const running = operations.filter(({ done }) => !done).map(({ name }) => name);
  return { url, metricsUrl, running, stop };
}

describe("longrunning serve --metrics-port", () => {
  it("shows the number of waiters, and how soon they receive an end", async () => {
    const { url, metricsUrl, running } = await serve();
    const [name = ""] = running;
    const wait = startCommand(["wait", name, "--server", url]);
    const waiters = async () => (await scrape(metricsUrl)).valueOf("connect_longrunning_waiters");
    await expect.poll(waiters, { timeout: 10_000, interval: 20 }).toBe(1);
    await runCommand("cancel", name, "--server", url);
    expect((await wait.ended).exitCode).toBe(exitCodes.cancelled);

    const metrics = await scrape(metricsUrl);
    expect(metrics.contentType).toMatch(/^text\/plain/);
    expect(metrics.valueOf("connect_longrunning_waiters")).toBe(0);
    expect(metrics.valueOf("connect_longrunning_wake_duration_seconds_count")).toBe(1);
    expect(metrics.valueOf("connect_longrunning_wake_duration_seconds_bucket", { le: "5" })).toBe(
      1,
    );
    const cancelled = { connect_longrunning_code: "CANCELLED" };
    expect(metrics.valueOf("connect_longrunning_operations_ended_total", cancelled)).toBe(1);
    // Nothing counts what is in memory.
    expect(metrics.text).not.toContain("connect_longrunning_operations_open");
  });

  it("with --data counts what is open in the file", async () => {
    const { metricsUrl, running } = await serve("--data", "DATA");
    const metrics = await scrape(metricsUrl);
    const state = { connect_longrunning_state: "running" };
    expect(metrics.valueOf("connect_longrunning_operations_open", state)).toBe(running.length);
  });

  it("answers at its one path alone, and no more once the server has ended", async () => {
    const { metricsUrl, stop } = await serve();
    expect((await scrape(`${metricsUrl}?name=up`)).status).toBe(200);
    expect((await scrape(metricsUrl.replace("/metrics", "/"))).status).toBe(404);
    const posted = await fetch(metricsUrl, { method: "POST" });
    expect([posted.status, await posted.text()]).toEqual([404, "metrics are at /metrics\n"]);
    expect((await stop()).exitCode).toBe(exitCodes.success);
    await expect(fetch(metricsUrl)).rejects.toThrow();
  });

  it("prints its address in JSON", async () => {
    const started = startCommand(["serve", "--port", "0", "--metrics-port", "0", "--json"]);
    const [line] = await started.wrote("stdout", /^.*\n/);
    expect(JSON.parse(line).metricsUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    started.interrupt();
    await started.ended;
  });

  it("serves nothing if its port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void taken.close());
    await new Promise((resolve) => taken.once("listening", resolve));
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { exitCode, stdout, stderr } = await runCommand(
      ...["serve", "--port", "0", "--metrics-port", String(port)],
    );
    expect([exitCode, stdout]).toEqual([exitCodes.usage, ""]);
    expect(stderr).toContain("the address is in use");
    expect(stderr).toContain("another --metrics-port");
  });
});
