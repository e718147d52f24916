import assert from "node:assert/strict";
import { pino } from "pino";
import { describe, it } from "vitest";
import { createLog, type LogOptions } from "../../src/internal/event-log.js";
import { createOperations, type OperationsEvent } from "../../src/server/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { Print } from "../support/print-server.js";

/** A log on a manual clock, and its lines by level. */
function createTestLog(options: LogOptions = {}) {
  const clock = createManualClock(Date.UTC(2026, 11, 1));
  const lines: string[] = [];
  const logger = {
    error: (...values: unknown[]) => lines.push(`error ${values.join()}`),
    warn: (...values: unknown[]) => lines.push(`warn ${values.join()}`),
  };
  return { log: createLog({ clock, logger, ...options }), clock, lines };
}

const failed: OperationsEvent = {
  kind: "work-failed",
  name: "operations/a",
  method: "printing.v1.PrintService/Print",
  attempt: 2,
  cause: new RangeError("no\npaper", { cause: new Error("tray open") }),
};

describe("createLog", () => {
  it("writes one line of text with level, time, name, attempt and the causes", () => {
    const { log, lines } = createTestLog();
    log(failed);
    assert.equal(lines.length, 1);
    const [line = ""] = lines;
    assert.ok(!line.includes("\n"));
    assert.ok(
      line.startsWith(
        "error 2026-12-01T00:00:00.000Z ERROR connect-longrunning work-failed name=operations/a " +
          "method=printing.v1.PrintService/Print attempt=2 " +
          'cause="RangeError: no\\npaper, caused by Error: tray open" stack="at ',
      ),
      line,
    );
  });

  it("writes one line of JSON if the format is json", () => {
    const { log, lines } = createTestLog({ format: "json" });
    log(failed);
    log({ kind: "attempt-lost", name: "operations/a", attempt: 2 } as OperationsEvent);
    const [one, other] = lines.map((line) => JSON.parse(line.slice(line.indexOf("{"))));
    assert.deepEqual(
      { ...one, stack: Array.isArray(one.stack) },
      {
        time: "2026-12-01T00:00:00.000Z",
        level: "error",
        kind: "work-failed",
        name: "operations/a",
        method: "printing.v1.PrintService/Print",
        attempt: 2,
        cause: "RangeError: no\npaper, caused by Error: tray open",
        stack: true,
      },
    );
    assert.deepEqual([other.level, other.kind], ["warn", "attempt-lost"]);
  });

  it("logs ten events of a kind within ten seconds, then the number of the others", async () => {
    const { log, lines, clock } = createTestLog();
    const event: OperationsEvent = { kind: "store-failed", action: "expire", cause: "away" };
    for (let at = 0; at < 79; at += 1) log(event);
    log(failed);
    assert.equal(lines.length, 11);
    await clock.advance(10_000);
    assert.equal(
      lines[11],
      "warn 2026-12-01T00:00:10.000Z WARN connect-longrunning log-dropped " +
        "of=store-failed events=69 intervalMs=10000",
    );
    log(event);
    assert.equal(lines.length, 13);
    await clock.advance(10_000);
    assert.deepEqual([lines.length, clock.scheduled({ background: true })], [13, 0]);
  });

  it("limits and counts by the times of the events where timers are refused or lost", () => {
    const { clock } = createTestLog();
    const lost = () => () => undefined;
    const refused = () => {
      throw new Error("no timers outside of a request");
    };
    for (const schedule of [lost, refused]) {
      let nowMs = 0;
      const { log, lines } = createTestLog({
        clock: { nowMs: () => clock.nowMs(), monotonicMs: () => nowMs, schedule },
      });
      const event: OperationsEvent = { kind: "store-failed", action: "expire", cause: "away" };
      for (let at = 0; at < 15; at += 1) log(event);
      nowMs = 9999;
      log(event);
      assert.equal(lines.length, 10);
      nowMs = 10_000;
      log(event);
      assert.equal(lines.length, 12);
      assert.match(lines[10] ?? "", /log-dropped of=store-failed events=6 /);
    }
  });

  it("hands a pino logger fields, the exception as err, and a message", () => {
    const lines: string[] = [];
    const logger = pino({ base: null }, { write: (line: string) => lines.push(line) });
    createTestLog({ logger }).log(failed);
    const [line = ""] = lines;
    const { kind, name, attempt, level, msg, err } = JSON.parse(line);
    assert.deepEqual(
      { kind, name, attempt, level, msg, type: err.type },
      {
        kind: "work-failed",
        name: "operations/a",
        attempt: 2,
        level: 50,
        msg: "work-failed",
        type: "RangeError",
      },
    );
  });

  it("says nothing of connections that clients have broken off", () => {
    const { log, lines } = createTestLog();
    log({ kind: "connection-failed" });
    assert.deepEqual(lines, []);
  });
});

describe("the log option", () => {
  it("takes a logger in place of a function", async () => {
    const lines: unknown[] = [];
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const operations = createOperations({
      clock,
      store,
      log: { error: (line) => lines.push(line), warn: () => undefined },
    });
    operations.handle(Print, () => Promise.reject(new Error("jam")));
    await operations.start(Print, {});
    await clock.advance(0);
    assert.match(String(lines[0]), /ERROR connect-longrunning work-failed name=operations\//);
    await operations.shutdown();
  });
});
