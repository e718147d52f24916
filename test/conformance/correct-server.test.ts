import { describe, expect, it, onTestFinished } from "vitest";
import type { SubjectOptions } from "../../src/conformance/description.js";
import { runSuite } from "../../src/conformance/run-suite.js";
import type { SuiteReport } from "../../src/conformance/suite-report.js";
import { lazyServer, minimalServer } from "./support/odd-servers.js";
import { rpcError } from "./support/rpc-error.js";
import { openTestSubject } from "./support/test-subject.js";

/** The failures of a report, in words. */
function failuresOf({ cases }: SuiteReport): string[] {
  return cases
    .filter(({ outcome }) => outcome === "fail" || outcome === "error")
    .map((one) => `${one.id} ${one.protocol}: ${one.expected}; ${one.actual} ${one.why}`);
}

describe("the correct server", () => {
  it("fails no case on any protocol, and exercises each case of level must", async () => {
    const { subject, close } = await openTestSubject({ unitMs: 150 });
    onTestFinished(close);
    const report = await runSuite(subject, { jobs: 4, inferred: true, level: "should" });
    expect(failuresOf(report)).toEqual([]);
    const missing = report.cases
      .filter(({ outcome }) => outcome === "not-exercised" || outcome === "unimplemented")
      .map(({ id, protocol, why }) => `${id} ${protocol}: ${why}`);
    expect(missing).toEqual([]);
    expect(report.summary).toMatch(/^held: /);
    expect(report.exitCode).toBe(0);
  }, 60_000);
});

describe("the correct server that hides other callers' operations", () => {
  const foreign: Partial<SubjectOptions> = {
    identities: {
      owner: { authorization: "Bearer owner" },
      stranger: { authorization: "Bearer stranger" },
      anonymous: "refused",
      foreign: "NOT_FOUND",
    },
  };

  it("passes the cases of permission", async () => {
    const { subject, close } = await openTestSubject({ hidesForeign: true }, foreign);
    onTestFinished(close);
    const report = await runSuite(subject, { cases: ["auth.*"] });
    expect(report.cases.map(({ id, outcome }) => `${id} ${outcome}`)).toEqual([
      "auth.get pass",
      "auth.hidden skipped",
      "auth.change pass",
      "auth.list pass",
      "auth.anonymous pass",
    ]);
  });

  it("fails auth.get if the error differs from the error for an unknown name", async () => {
    const { subject, close } = await openTestSubject(
      {
        hidesForeign: true,
        variant: (model) => ({
          async get(name, call) {
            if (call.caller === "stranger" && model.probe(name).work !== 0) {
              throw rpcError("NOT_FOUND", "OPERATION_HIDDEN", "it is hidden");
            }
            return model.get(name, call);
          },
        }),
      },
      foreign,
    );
    onTestFinished(close);
    const report = await runSuite(subject, { cases: ["auth.get"] });
    expect(report.cases.map(({ outcome }) => outcome)).toEqual(["fail"]);
  });
});

describe("lawful but odd servers", () => {
  const headers = { authorization: "Bearer owner" };
  const none = {
    headers,
    follows: [],
    methods: undefined,
    claims: undefined,
    parents: undefined,
    unknownName: undefined,
    identities: undefined,
    driver: false,
    restart: undefined,
  };

  it("a minimal server fails no case", async () => {
    const { subject, close } = await openTestSubject(minimalServer, {
      ...none,
      needs: {
        succeeds: {
          rpc: "longrunning.conformance.v1.Driver/Start",
          request: { parent: "printers/a" },
        },
      },
    });
    onTestFinished(close);
    const report = await runSuite(subject, { jobs: 8, inferred: true, level: "should" });
    expect(failuresOf(report)).toEqual([]);
    expect(report.summary).toMatch(/^incomplete: /);
    expect(report.exitCode).toBe(0);
  }, 60_000);

  it("a lazy server fails no case", async () => {
    const { subject, close } = await openTestSubject(
      { ...lazyServer, unitMs: 200 },
      {
        ...none,
        needs: {
          succeeds: { driver: true },
          fails: { driver: true },
          takes: { driver: true },
          ignoresCancel: { driver: true },
          reportsProgress: { driver: true },
        },
      },
    );
    onTestFinished(close);
    const report = await runSuite(subject, { jobs: 24, inferred: true, level: "should" });
    expect(failuresOf(report)).toEqual([]);
    expect(report.exitCode).toBe(0);
  }, 60_000);
});
