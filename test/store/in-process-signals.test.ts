import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { standardDetailsOf } from "../../src/status/index.js";
import { createInProcessSignals, type SignalKind } from "../../src/store/index.js";
import { rejectionOf } from "../support/rejection.js";

const name = "operations/a";

describe("the in-process signals", () => {
  it("emit a signal published in a transaction after the commit, not before", async () => {
    const signals = createInProcessSignals();
    const heard: SignalKind[] = [];
    await signals.subscribe(name, (kind) => heard.push(kind));
    const committed: (() => void)[] = [];
    const transaction = {
      executeSql: async () => ({ rows: [] }),
      afterCommit: (callback: () => void) => committed.push(callback),
    };
    await signals.publish(name, "done", { transaction });
    expect(heard).toEqual([]);
    for (const callback of committed) callback();
    expect(heard).toEqual(["done"]);
  });

  it("refuse a transaction without afterCommit, and emit nothing", async () => {
    const signals = createInProcessSignals();
    const heard: SignalKind[] = [];
    await signals.subscribe(name, (kind) => heard.push(kind));
    const transaction = { executeSql: async () => ({ rows: [] }) };
    const error = await rejectionOf(signals.publish(name, "done", { transaction }));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(standardDetailsOf(error).errorInfo?.reason).toBe("TRANSACTION_UNSUPPORTED");
    expect(heard).toEqual([]);
  });

  it("keep one listener that is subscribed twice until both have unsubscribed", async () => {
    const signals = createInProcessSignals();
    const heard: SignalKind[] = [];
    const listener = (kind: SignalKind) => heard.push(kind);
    const first = await signals.subscribe(name, listener);
    await signals.subscribe(name, listener);
    first();
    first();
    await signals.publish(name, "done");
    expect(heard).toEqual(["done"]);
  });
});
