import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, onTestFinished } from "vitest";
import { createMetricsEndpoint } from "../../src/cli/metrics-endpoint.js";
import { systemClock } from "../../src/internal/clock.js";
import { createOperations } from "../../src/server/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { createDeferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";

/** The metrics of a server that has run one operation, lost one lease, and has another one queued. */
async function scrapedNames(): Promise<Set<string>> {
  const folder = await createTemporaryFolder();
  const metrics = await createMetricsEndpoint(systemClock);
  onTestFinished(() => metrics.close());
  const store = await createSqliteStore({ path: join(folder, "operations.db") });
  const operations = createOperations({ store, observer: metrics.observer });
  const first = createDeferred();
  operations.handle(
    Print,
    () => {
      first.resolve();
      return new Promise(() => undefined);
    },
    { maxConcurrent: 1 },
  );
  await operations.start(Print, {});
  await first.promise;
  await operations.start(Print, {});
  const external = await operations.create(Print, {});
  await operations.succeed(Print, external.name, {});
  metrics.postgresObserver.leaseLost?.({
    name: "operations/a",
    method: "printing.v1.PrintService/Print",
  });
  metrics.show(store);
  const url = await metrics.listen("127.0.0.1", 0);
  const text = await (await fetch(url)).text();
  await operations.shutdown({ graceMs: 0 });
  return new Set(text.match(/^connect_longrunning_[a-z_]+/gm));
}

const namesIn = (text: string) =>
  new Set(
    (text.match(/\bconnect_longrunning_[a-z_]+/g) ?? []).filter(
      (name) => !/^connect_longrunning_(method|state|code|rpc|action)$/.test(name),
    ),
  );

describe.each(["alerts.yml", "dashboard.json"])("ops/%s", (file) => {
  it("uses only metrics that a scrape shows", async () => {
    const used = namesIn(await readFile(`ops/${file}`, "utf8"));
    const scraped = await scrapedNames();
    assert.ok(used.size >= 6);
    // The run of the first operation goes on, and nothing was waited for.
    const later = new Set(["connect_longrunning_run_duration_seconds_bucket"]);
    assert.deepEqual(
      [...used].filter((name) => !scraped.has(name) && !later.has(name)),
      [],
    );
  });
});

describe("the runbook", () => {
  it("has the section of each alert", async () => {
    const alerts = await readFile("ops/alerts.yml", "utf8");
    const runbook = await readFile("docs/operate/runbook.md", "utf8");
    const sections = new Set(
      [...runbook.matchAll(/^## (.*)$/gm)].map(([, title = ""]) =>
        title.toLowerCase().replaceAll(" ", "-"),
      ),
    );
    const links = [...alerts.matchAll(/runbook\.md#(\S+)/g)].map(([, anchor = ""]) => anchor);
    assert.ok(links.length >= 6);
    assert.deepEqual(
      links.filter((anchor) => !sections.has(anchor)),
      [],
    );
  });
});
