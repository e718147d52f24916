import { readFile } from "node:fs/promises";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { expect, it, vi } from "vitest";
import {
  createPostgresObserver,
  createServerObserver,
  observeCounts,
} from "../../src/opentelemetry/index.js";

it("docs/operate/metrics.md lists each metric that there is, with its unit and its kind", async () => {
  const meterProvider = new MeterProvider();
  // One meter for all callers with this name.
  const meter = meterProvider.getMeter("connect-longrunning");
  const created = [
    { kind: "counter", by: vi.spyOn(meter, "createCounter") },
    { kind: "up-down counter", by: vi.spyOn(meter, "createUpDownCounter") },
    { kind: "up-down counter", by: vi.spyOn(meter, "createObservableUpDownCounter") },
    { kind: "gauge", by: vi.spyOn(meter, "createObservableGauge") },
    { kind: "histogram", by: vi.spyOn(meter, "createHistogram") },
  ];
  createServerObserver({ meterProvider });
  createPostgresObserver({ meterProvider });
  observeCounts({ counts: async () => ({ open: [], lost: [] }) }, { meterProvider })();
  const made = created.flatMap(({ kind, by }) =>
    by.mock.calls.map(([name, options]) => `${name} ${options?.unit} ${kind}`),
  );

  const text = await readFile("docs/operate/metrics.md", "utf8");
  const rows = text.matchAll(/^\| `(connect_longrunning\.\S+)` \| (\S+) \| ([a-z -]+) \|/gm);
  const listed = [...rows].map(([, name, unit, kind]) => `${name} ${unit} ${kind}`);
  expect(made).toHaveLength(22);
  expect(listed.sort()).toEqual(made.sort());
});
