import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, it, onTestFinished } from "vitest";
import { StartRequestSchema } from "../../src/conformance/driver.js";
import { openSubject } from "../../src/conformance/index.js";
import { runSuite } from "../../src/conformance/run-suite.js";
import { createTestServer } from "./support/test-server.js";
import {
  allProtocols,
  budgetsFor,
  correctDescription,
  openTestSubject,
} from "./support/test-subject.js";

/** Blocks the event loop, as a busy machine does. */
function block(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

it("does not blame a server for a late answer over REST while the runner itself was blocked", async () => {
  const unitMs = 60;
  const server = createTestServer({ unitMs });
  let blocks = 0;
  const subject = await openSubject({
    ...correctDescription,
    subject: "test server",
    protocols: allProtocols,
    budgets: budgetsFor(unitMs),
    seed: 1,
    async exchange(request) {
      if (request.method === "DELETE" && blocks < 2) {
        blocks += 1;
        block(5 * unitMs);
        await sleep(10);
        request.signal.throwIfAborted();
      }
      return server.exchange(request);
    },
  });
  onTestFinished(async () => {
    await subject.close();
    server.close();
  });
  const report = await runSuite(subject, { cases: ["rest.paths"], protocols: ["rest"] });
  expect(report.cases.map(({ outcome, actual }) => `${outcome} ${actual ?? ""}`)).toEqual([
    "pass ",
  ]);
  expect(blocks).toBe(2);
});

it("does not blame a server for an answer some milliseconds after a deadline while the runner was slow", async () => {
  const unitMs = 800;
  const deadlineMs = 1.5 * unitMs;
  const server = createTestServer({ unitMs });
  let waits = 0;
  const subject = await openSubject({
    ...correctDescription,
    subject: "test server",
    protocols: allProtocols,
    budgets: budgetsFor(unitMs),
    seed: 1,
    async exchange(request) {
      if (!request.url.endsWith("/WaitOperation") || waits > 0) return server.exchange(request);
      waits += 1;
      const answer = server.exchange(request);
      await sleep(deadlineMs - 50);
      block(90);
      return answer;
    },
  });
  onTestFinished(async () => {
    await subject.close();
    server.close();
  });
  const report = await runSuite(subject, { cases: ["wait.deadline"], protocols: ["grpc"] });
  expect(report.cases.map(({ outcome, actual }) => `${outcome} ${actual ?? ""}`)).toEqual([
    "pass ",
  ]);
  expect(waits).toBe(1);
});

it.each([
  ["an answer that is no JSON", async () => new Response("created"), /not an Operation/],
  ["a broken connection", async () => Promise.reject(new TypeError("reset")), /reset/],
  [
    "no answer",
    (_: unknown, init?: RequestInit) =>
      new Promise<Response>((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      }),
    /took too long/,
  ],
])("a start by HTTP that gets %s makes its cases not exercised", async (_, fetch, why) => {
  const subject = await openSubject({
    subject: "jobs",
    protocols: { rest: "http://jobs.test" },
    needs: { succeeds: { http: "POST /v1/{{parent}}/jobs" } },
    parents: ["printers/a"],
    budgets: budgetsFor(20),
    fetch,
  });
  onTestFinished(() => subject.close());
  const report = await runSuite(subject, { cases: ["get.life"] });
  expect(report.cases.map(({ outcome }) => outcome)).toEqual(["not-exercised"]);
  expect(report.cases[0]?.why).toMatch(why);
});

it("starts operations by an HTTP request of the subject's own", async () => {
  const { subject, server, close } = await openTestSubject({ unitMs: 60 });
  onTestFinished(close);
  const own = await openSubject({
    ...subject.description,
    driver: false,
    needs: { succeeds: { http: "POST /v1/{{parent}}/jobs" } },
    async exchange(request) {
      if (!request.url.endsWith("/jobs")) return server.exchange(request);
      const { name } = await server.model.start(
        create(StartRequestSchema, { parent: "printers/a", runsFor: durationFromMs(30) }),
        { caller: "owner", deadlineMs: undefined, signal: request.signal },
      );
      const body = new TextEncoder().encode(JSON.stringify({ name }));
      return { status: 200, headers: new Headers(), trailers: new Headers(), body };
    },
  });
  onTestFinished(() => own.close());
  const report = await runSuite(own, { cases: ["get.life"], protocols: ["rest"] });
  expect(report.cases.map(({ outcome, why }) => `${outcome} ${why}`)).toEqual(["pass "]);
});
