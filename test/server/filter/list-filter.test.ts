import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { filter } from "../../../src/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import { standardDetailsOf } from "../../../src/status/index.js";
import { createInProcessDispatcher } from "../../../src/store/index.js";
import { createManualClock } from "../../../src/testing/index.js";
import { createDeferred } from "../../support/deferred.js";
import { Bake, Ship } from "../../support/filter-record.js";
import { rejectionOf } from "../../support/rejection.js";

/** A server with operations of two methods, driven from outside, and a list of them by filter. */
async function createBakery() {
  const clock = createManualClock();
  const operations = createOperations({ clock });
  const rpc = createClient(
    Operations,
    createRouterTransport((router) => {
      router.service(Operations, operations.service);
    }),
  );
  const hot = await operations.create(Bake, {});
  await operations.report(Bake, hot.name, { count: 7, isHot: true, labels: { env: "x" } });
  const done = await operations.create(Bake, {});
  await operations.succeed(Bake, done.name, { loaves: 3 });
  const shipped = await operations.create(Ship, {});
  await operations.report(Ship, shipped.name, { carrier: "sea" });
  const names = new Map([
    [hot.name, "hot"],
    [done.name, "done"],
    [shipped.name, "shipped"],
  ]);
  const list = async (text: string) => {
    const { operations: found } = await rpc.listOperations({ name: "", filter: text });
    return found.map(({ name }) => names.get(name));
  };
  const faultOf = async (text: string) => {
    const error = await rejectionOf(rpc.listOperations({ name: "", filter: text }));
    return { error, info: standardDetailsOf(error).errorInfo };
  };
  return { list, faultOf, hotName: hot.name };
}

describe("ListOperations with a filter for operators", () => {
  async function createQueue(sees: "own" | "all") {
    const clock = createManualClock();
    const operations = createOperations({
      clock,
      dispatcher: createInProcessDispatcher({ clock, maxConcurrent: 1 }),
      authorize: () => ({ allow: true, principal: "users/ann", sees }),
    });
    const release = createDeferred<void>();
    operations.handle(Bake, async () => {
      await release.promise;
      return {};
    });
    const names = new Map<string, string>();
    for (const [title, principal] of [
      ["first", "users/ann"],
      ["second", "users/bob"],
    ] as const) {
      names.set((await operations.start(Bake, {}, { principal })).name, title);
      await clock.advance(0);
    }
    onTestFinished(async () => {
      release.resolve();
      await operations.shutdown();
    });
    const rpc = createClient(
      Operations,
      createRouterTransport((router) => {
        router.service(Operations, operations.service);
      }),
    );
    return {
      list: async (text: string) => {
        const { operations: found } = await rpc.listOperations({ filter: text });
        return found.map(({ name }) => names.get(name));
      },
    };
  }

  it.each<[string, string[]]>([
    ["state = RUNNING", ["first"]],
    ["state = QUEUED", ["second"]],
    ["state != RUNNING", ["second"]],
    ["state = (BLOCKED OR QUEUED)", ["second"]],
    ["state:DONE", []],
    ["NOT state:*", []],
    ["attempt >= 1", ["first"]],
    ["attempt:*", ["first"]],
    ["-attempt:*", ["second"]],
    ['principal = "users/bob"', ["second"]],
    ['principal = "users/*"', ["second", "first"]],
    ["principal:*", ["second", "first"]],
  ])("server 48: %s", async (text, expected) => {
    const { list } = await createQueue("all");
    expect(await list(text)).toEqual(expected);
  });

  it.each<[string, string, string]>([
    ["state = PENDING", "FILTER_TYPE_MISMATCH", "one of BLOCKED, QUEUED, RUNNING, DONE"],
    ["state < DONE", "FILTER_TYPE_MISMATCH", "is a state and has no order"],
    ["attempt = many", "FILTER_TYPE_MISMATCH", "a whole number"],
    ["state.name = x", "UNKNOWN_FILTER_FIELD", "has no fields"],
  ])("server 47: refuses %s", async (text, reason, message) => {
    const { list } = await createQueue("all");
    const error = await rejectionOf(list(text));
    expect(standardDetailsOf(error).errorInfo?.reason).toBe(reason);
    expect(error.rawMessage).toContain(message);
  });

  it("server 53: does not know principal for a caller that sees its own operations alone", async () => {
    const { list } = await createQueue("own");
    expect(await list("state = RUNNING")).toEqual(["first"]);
    const error = await rejectionOf(list('principal = "users/bob"'));
    expect(standardDetailsOf(error).errorInfo?.reason).toBe("UNKNOWN_FILTER_FIELD");
    expect(error.rawMessage).not.toContain("principal,");
  });
});

describe("ListOperations with a filter", () => {
  it("server 45: refuses what does not follow the grammar, and says where", async () => {
    const { faultOf } = await createBakery();
    const { error, info } = await faultOf("done = true AND (name = x");
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toBe(
      'filter, column 26: expected ")" for the "(" in column 17, not the end',
    );
    expect(info).toMatchObject({
      reason: "INVALID_FILTER",
      domain: "connect-longrunning",
      metadata: { field: "filter", value: "done = true AND (name = x", position: "26" },
    });
    expect(standardDetailsOf(error).badRequest?.fieldViolations[0]).toMatchObject({
      field: "filter",
      reason: "INVALID_FILTER",
    });
  });

  it("server 46: refuses a field that no known method has, until a method with it is known", async () => {
    const { faultOf } = await createBakery();
    expect((await faultOf("metadata.colour = red")).info).toMatchObject({
      reason: "UNKNOWN_FILTER_FIELD",
      metadata: { position: "10" },
    });
    const empty = createOperations({ clock: createManualClock() });
    const rpc = createClient(
      Operations,
      createRouterTransport((router) => {
        router.service(Operations, empty.service);
      }),
    );
    const request = { name: "", filter: 'metadata.carrier = "sea"' };
    const details = standardDetailsOf(await rejectionOf(rpc.listOperations(request)));
    expect(details.errorInfo?.reason).toBe("UNKNOWN_FILTER_FIELD");
    empty.handle(Ship, async () => ({}));
    expect((await rpc.listOperations(request)).operations).toEqual([]);
  });

  it("server 47: refuses a value of another type than the field's", async () => {
    const { faultOf } = await createBakery();
    const { error, info } = await faultOf('metadata.count > "many"');
    expect(error.code).toBe(Code.InvalidArgument);
    expect(info).toMatchObject({ reason: "FILTER_TYPE_MISMATCH", metadata: { position: "18" } });
  });

  it("server 48: finds operations by their columns and by fields of their payloads", async () => {
    const { list, hotName } = await createBakery();
    expect(await list("metadata.count > 3")).toEqual(["hot"]);
    expect(await list("metadata.is_hot = true OR metadata.carrier = sea -done = true")).toEqual([
      "shipped",
      "hot",
    ]);
    expect(await list('metadata.labels.env = "x"')).toEqual(["hot"]);
    expect(await list("NOT response.loaves = 3")).toEqual(["shipped", "hot"]);
    expect(await list("response.loaves != 4")).toEqual(["done"]);
    expect(await list('method = "*/Bake"')).toEqual(["done", "hot"]);
    expect(await list("create_time > 1999-01-01T00:00:00Z end_time:*")).toEqual(["done"]);
    expect(await list(String(filter`name = ${hotName}`))).toEqual(["hot"]);
    expect(await list("metadata.create_time:*")).toEqual(["shipped"]);
  });

  it("server 49: takes done = true, and keywords as fields and in quotes", async () => {
    const { list } = await createBakery();
    expect(await list("done = true")).toEqual(["done"]);
    expect(await list("(done = false )")).toEqual(["shipped", "hot"]);
    expect(await list('metadata.AND = "AND"')).toEqual([]);
    expect(await list("-(42.42)")).toHaveLength(3);
  });

  it("server 50: refuses what is over the documented bounds", async () => {
    const { faultOf } = await createBakery();
    for (const text of [
      `name = "${"x".repeat(5000)}"`,
      Array(101).fill("done = true").join(" "),
      `${"(".repeat(21)}done = true${")".repeat(21)}`,
    ]) {
      const { error, info } = await faultOf(text);
      expect(error.code).toBe(Code.InvalidArgument);
      expect(info?.reason).toBe("INVALID_FILTER");
      // Errors travel in trailers, which are limited.
      expect(error.rawMessage.length).toBeLessThan(500);
    }
  });
});
