import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, it, onTestFinished } from "vitest";
import { createMetricsEndpoint } from "../../src/cli/metrics-endpoint.js";
import { systemClock } from "../../src/internal/clock.js";
import { createOperations } from "../../src/server/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { createDeferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";

/** The metrics of a server that has run one operation, lost one lease, and has another one queued. */
async function scrapedText(): Promise<string> {
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
  metrics.postgresObserver.connected?.(() => ({ inUse: 1, waiting: 0 }));
  metrics.show(store);
  const url = await metrics.listen("127.0.0.1", 0);
  const text = await (await fetch(url)).text();
  await operations.shutdown({ graceMs: 0 });
  return text;
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
    const scraped = new Set((await scrapedText()).match(/^connect_longrunning_[a-z_]+/gm));
    assert.ok(used.size >= 6);
    // The run of the first operation goes on, and nothing was waited for.
    const later = new Set(["connect_longrunning_run_duration_seconds_bucket"]);
    assert.deepEqual(
      [...used].filter((name) => !scraped.has(name) && !later.has(name)),
      [],
    );
  });
});

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;
const mayBeSkipped = process.env.FOREIGN_CLIENTS !== "required";

/** Runs Prometheus's own tool; resolves with its output and fails if it finds a fault. */
function promtool(args: readonly string[], input = ""): string {
  const { status, stdout, stderr } = spawnSync("promtool", args, { input, encoding: "utf8" });
  assert.equal(status, 0, `${stdout}${stderr}`);
  return stdout + stderr;
}

describe.skipIf(!hasPromtool && mayBeSkipped)("promtool (skipped if not installed)", () => {
  it("accepts the alert rules", () => {
    assert.match(promtool(["check", "rules", "ops/alerts.yml"]), /SUCCESS: 7 rules found/);
  });

  it("parses a scrape", async () => {
    const { status, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input: await scrapedText(),
      encoding: "utf8",
    });
    // 3: style hints, such as a name that does not end with its unit. 1: a text that is not valid.
    assert.ok(status === 0 || status === 3, stderr);
    assert.doesNotMatch(stderr, /error while linting/);
  });

  it("fires the alerts on series of an incident, and none on quiet ones", async () => {
    const folder = await createTemporaryFolder();
    const method = 'connect_longrunning_method="a.B/C"';
    const series = (name: string, labels: string, values: string) => ({
      series: `connect_longrunning_${name}{${labels}}`,
      values,
    });
    const incident = [
      series("operations_oldest_queued_age_seconds", method, "400+60x30"),
      series("operations_ended_total", `${method},connect_longrunning_code="OK"`, "0+10x30"),
      series("operations_ended_total", `${method},connect_longrunning_code="UNKNOWN"`, "0+5x30"),
      series("operations_lost_attempts", method, "0+1x30"),
      series("leases_lost_total", method, "0+1x30"),
      series("queue_failures_total", "", "0+60x30"),
      series("connections_waiting", 'instance="web-1"', "2x30"),
      series(
        "rpcs_total",
        'connect_longrunning_rpc="GetOperation",connect_longrunning_code="OK"',
        "0+60x30",
      ),
      series(
        "rpcs_total",
        'connect_longrunning_rpc="GetOperation",connect_longrunning_code="UNAVAILABLE"',
        "0+60x30",
      ),
    ];
    const quiet = incident.map(({ series: name }) => ({ series: name, values: "0x30" }));
    const alerts = (await readFile("ops/alerts.yml", "utf8")).matchAll(/- alert: (\w+)/g);
    const names = [...alerts].map(([, name]) => name);
    const tests = [
      ["1", incident],
      ["0", quiet],
    ].map(([value, input]) => ({
      interval: "1m",
      input_series: input,
      promql_expr_test: names.map((name) => ({
        expr: `count(ALERTS{alertname="${name}",alertstate="firing"}) or vector(0)`,
        eval_time: "25m",
        exp_samples: [{ labels: "{}", value: Number(value) }],
      })),
    }));
    const file = join(folder, "rules.test.yml");
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ rule_files: [resolve("ops/alerts.yml")], tests }));
    assert.match(promtool(["test", "rules", file]), /SUCCESS/);
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
