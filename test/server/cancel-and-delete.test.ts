import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { standardDetailsOf } from "../../src/status/index.js";
import { createDeferred } from "../support/deferred.js";
import { errorOf, reasonOf } from "../support/operation-end.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { never, untilAborted } from "../support/print-work.js";
import { rejectionOf } from "../support/rejection.js";

describe("a grace after a request to cancel", () => {
  it("server 61: without one, an operation whose work ignores its signal runs on", async () => {
    const { printer, client, clock } = createPrintServer(never);
    const { name } = await printer.print({});
    await clock.advance(0);
    await client.cancel(name);
    await clock.advance(24 * 60 * 60 * 1000);
    expect((await client.get(name)).done).toBe(false);
  });

  it("server 61: ends the operation at its end, whatever the work does then", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, client, clock, events } = createPrintServer(() => gate.promise, {
      method: { cancelGraceMs: 5000 },
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    await client.cancel(name);
    const waiting = client.wait(name, 50_000);
    await clock.advance(3000);
    await client.cancel(name);
    expect((await client.get(name)).done).toBe(false);
    await clock.advance(2001);
    const ended = await waiting;
    expect(errorOf(ended).code).toBe(Code.Canceled);
    expect(reasonOf(ended)).toBe("CANCEL_GRACE_EXPIRED");
    gate.resolve({ pages: 3 });
    await clock.advance(0);
    expect(await client.get(name)).toEqual(ended);
    expect(events).toEqual([{ kind: "attempt-lost", name, attempt: 1 }]);
  });

  it("server 56: is not waited for by work that heeds its signal", async () => {
    const { printer, client, clock } = createPrintServer(untilAborted, {
      method: { cancelGraceMs: 5000 },
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    await client.cancel(name);
    await clock.advance(0);
    expect(reasonOf(await client.get(name))).toBe("CANCELLED_BY_REQUEST");
  });

  it("does not put off a deadline that is sooner", async () => {
    const { printer, client, clock } = createPrintServer(never, {
      method: { cancelGraceMs: 5000, deadlineMs: 1000 },
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    await client.cancel(name);
    await clock.advance(1000);
    expect(errorOf(await client.get(name)).code).toBe(Code.Canceled);
  });
});

describe("what cannot be cancelled", () => {
  it("server 62: is FAILED_PRECONDITION for an operation of such a method, which runs on", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, client, clock } = createPrintServer(() => gate.promise, {
      method: { cancellable: false },
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    const error = await rejectionOf(client.cancel(name));
    expect(error.code).toBe(Code.FailedPrecondition);
    const details = standardDetailsOf(error);
    expect(details.errorInfo).toMatchObject({
      reason: "NOT_CANCELLABLE",
      metadata: { name, method: "printing.v1.PrintService/Print" },
    });
    expect(details.preconditionFailure?.violations[0]?.subject).toBe(name);
    gate.resolve({ pages: 1 });
    await clock.advance(0);
    expect((await client.get(name)).result.case).toBe("response");
    // Of a done operation there is nothing left to cancel.
    await client.cancel(name);
  });

  it("server 62: is UNIMPLEMENTED where the service has no cancellation", async () => {
    const { printer, client } = createPrintServer(never, { cancellation: false });
    const { name } = await printer.print({});
    for (const each of [name, "operations/unknown"]) {
      const error = await rejectionOf(client.cancel(each));
      expect(error.code).toBe(Code.Unimplemented);
      expect(standardDetailsOf(error).errorInfo?.reason).toBe("CANCELLATION_UNSUPPORTED");
    }
  });
});

describe("deleting what is not done", () => {
  it.each([
    ["the server's", { deleteRunning: "refuse" as const }],
    ["the method's", { method: { deleteRunning: "refuse" as const } }],
  ])("server 66: is FAILED_PRECONDITION by %s choice, until it is done", async (_, options) => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, client, clock } = createPrintServer(() => gate.promise, options);
    const { name } = await printer.print({});
    const error = await rejectionOf(client.delete(name));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(standardDetailsOf(error).errorInfo).toMatchObject({
      reason: "OPERATION_NOT_DONE",
      metadata: { name },
    });
    expect((await client.get(name)).done).toBe(false);
    gate.resolve({ pages: 1 });
    await clock.advance(0);
    await client.delete(name);
    expect((await rejectionOf(client.get(name))).code).toBe(Code.NotFound);
  });

  it("server 66: hides it by default, drops its result, and frees its name then", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { operations, client, clock } = createPrintServer(() => gate.promise);
    const { name } = await operations.start(Print, {}, { name: "operations/one" });
    await clock.advance(0);
    await client.delete(name);
    gate.resolve({ pages: 1 });
    await clock.advance(0);
    expect((await rejectionOf(client.get(name))).code).toBe(Code.NotFound);
    await clock.advance(60_000);
    expect((await operations.start(Print, {}, { name })).name).toBe(name);
  });
});
