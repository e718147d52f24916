import { create } from "@bufbuild/protobuf";
import { anyUnpack, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import type { Operation } from "../../src/protos.js";
import { createMemoryStore } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { OddMetadataSchema, OperationMetadataSchema } from "../gen/binding/v1/binding_pb.js";
import {
  BindBook,
  type BindServerOptions,
  type BindWork,
  createBindServer,
  MendBook,
} from "../support/bind-server.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer } from "../support/print-server.js";

const startMs = Date.UTC(2026, 4, 1);
const dayMs = 24 * 60 * 60 * 1000;

function metadataOf({ metadata }: Operation) {
  assert(metadata !== undefined);
  const message = anyUnpack(metadata, OperationMetadataSchema);
  assert(message !== undefined);
  return message;
}

const msOf = (time: Parameters<typeof timestampMs>[0] | undefined) => time && timestampMs(time);

/** A server whose clock starts at a known time, and an operation of it that has been started. */
async function bound(work: BindWork, options: BindServerOptions = {}) {
  const clock = createManualClock(startMs);
  const server = createBindServer(work, { clock, ...options });
  const { name } = await server.binder.bindBook({ parent: "shelves/7", bookId: "dune" });
  const shown = async () => metadataOf(await server.rpc.getOperation({ name }));
  return { ...server, clock, name, shown };
}

describe("the metadata that the server keeps", () => {
  it("is there from the start on", async () => {
    const { shown } = await bound(() => new Promise(() => undefined));
    const metadata = await shown();
    expect(msOf(metadata.createTime)).toBe(startMs);
    expect(metadata).toMatchObject({
      target: "shelves/7",
      verb: "bind",
      apiVersion: "v1",
      requestedCancellation: false,
      pagesBound: 0,
    });
    expect([metadata.endTime, metadata.expireTime]).toEqual([undefined, undefined]);
  });

  it("is what the start call answers with", async () => {
    const { binder } = createBindServer(() => ({}));
    const metadata = metadataOf(await binder.bindBook({ parent: "shelves/1" }));
    expect(metadata).toMatchObject({ target: "shelves/1", verb: "bind", statusMessage: "queued" });
  });

  it("server 89: shows the end, and when the operation will not be found any more", async () => {
    const gate = createDeferred<object>();
    const { shown, clock, rpc, name } = await bound(() => gate.promise, { retentionMs: dayMs });
    await clock.advance(5000);
    gate.resolve({});
    await clock.advance(0);
    const metadata = await shown();
    expect(msOf(metadata.createTime)).toBe(startMs);
    expect(msOf(metadata.endTime)).toBe(startMs + 5000);
    expect(msOf(metadata.expireTime)).toBe(startMs + 5000 + dayMs);
    await clock.advance(dayMs - 1);
    expect((await rpc.getOperation({ name })).done).toBe(true);
    await clock.advance(1);
    await expect(rpc.getOperation({ name })).rejects.toMatchObject({ code: Code.NotFound });
  });

  it("server 60: shows the request to cancel before the end, and after it", async () => {
    const gate = createDeferred<object>();
    const { shown, clock, rpc, name } = await bound(() => gate.promise);
    await clock.advance(0);
    await rpc.cancelOperation({ name });
    const running = await shown();
    expect(running).toMatchObject({ requestedCancellation: true, statusMessage: "cancelling" });
    expect(running.endTime).toBeUndefined();
    gate.resolve({});
    await clock.advance(0);
    expect(await shown()).toMatchObject({
      requestedCancellation: true,
      statusMessage: "succeeded",
    });
  });

  it.each([
    ["succeeded", () => ({})],
    ["failed", () => Promise.reject(new ConnectError("no glue", Code.FailedPrecondition))],
    ["cancelled", () => Promise.reject(new ConnectError("stopped", Code.Canceled))],
    ["running", () => new Promise<never>(() => undefined)],
  ])("says of one that has %s that it has", async (status, work: BindWork) => {
    const { shown, clock } = await bound(work);
    await clock.advance(0);
    expect((await shown()).statusMessage).toBe(status);
  });

  it("completes the work's metadata: keeps its fields, but replaces its times", async () => {
    const { shown, clock } = await bound((operation) => {
      operation.report({
        target: "books/dune",
        statusMessage: "glueing",
        pagesBound: 12,
        createTime: { seconds: 5n, nanos: 7 },
        endTime: { seconds: 5n, nanos: 7 },
      });
      return {};
    });
    await clock.advance(0);
    const metadata = await shown();
    expect(metadata).toMatchObject({
      target: "books/dune",
      verb: "bind",
      apiVersion: "v1",
      statusMessage: "glueing",
      pagesBound: 12,
    });
    // Whole seconds: the nanos that the work wrote must not show through.
    expect(metadata.createTime).toEqual(timestampFromMs(startMs));
    expect(metadata.endTime?.seconds).toBe(BigInt(startMs / 1000));
  });

  it("shows no end, no expiry and no request to cancel that only the work has reported", async () => {
    const reported = create(OperationMetadataSchema, {
      pagesBound: 12,
      createTime: { seconds: 5n, nanos: 7 },
      endTime: { seconds: 5n, nanos: 7 },
      expireTime: { seconds: 5n },
      requestedCancellation: true,
    });
    const { shown, clock, rpc } = await bound((operation) => {
      operation.report(reported);
      return new Promise(() => undefined);
    });
    await clock.advance(0);
    const metadata = await shown();
    expect(metadata).toMatchObject({ pagesBound: 12, requestedCancellation: false });
    expect(metadata.createTime).toEqual(timestampFromMs(startMs));
    expect([metadata.endTime, metadata.expireTime]).toEqual([undefined, undefined]);
    // Filters see the same fields as clients.
    const filter = "metadata.requested_cancellation = true OR metadata.expire_time:*";
    expect((await rpc.listOperations({ name: "shelves/7", filter })).operations).toEqual([]);
    // The work's own message is left as it is.
    expect(reported).toMatchObject({ requestedCancellation: true, endTime: { seconds: 5n } });
  });

  it("shows the last time that stores keep for a later expiry", async () => {
    const { shown, clock } = await bound(() => ({}), { retentionMs: Number.MAX_SAFE_INTEGER });
    await clock.advance(0);
    // 2^53 - 1 microseconds, which is in the year 2255.
    expect((await shown()).expireTime).toMatchObject({ seconds: 9_007_199_254n });
  });

  it("is what the method's options say", async () => {
    const { shown } = await bound(() => ({}), {
      method: { target: ({ bookId }) => `books/${bookId}`, verb: "glue", apiVersion: "v2beta1" },
    });
    expect(await shown()).toMatchObject({
      target: "books/dune",
      verb: "glue",
      apiVersion: "v2beta1",
    });
  });

  it("is in lists, in waits, and in what is driven from outside", async () => {
    const { operations, rpc, clock } = createBindServer(() => ({}));
    const { name } = await operations.create(BindBook, { parent: "shelves/1" });
    await operations.report(BindBook, name, { pagesBound: 3 });
    const [listed] = (await rpc.listOperations({ name: "shelves/1" })).operations;
    assert(listed !== undefined);
    expect(metadataOf(listed)).toMatchObject({ target: "shelves/1", verb: "bind", pagesBound: 3 });
    const done = await operations.succeed(BindBook, name, {});
    expect(msOf(metadataOf(done).endTime)).toBe(clock.nowMs());
    expect(metadataOf(await rpc.waitOperation({ name }))).toEqual(metadataOf(done));
  });

  it("is what is stored where this process does not know the method", async () => {
    const store = createMemoryStore();
    const { operations } = createBindServer(() => ({}), { store });
    const { name } = await operations.create(BindBook, { parent: "shelves/1" });
    const stranger = createPrintServer(() => ({}), { store });
    expect(metadataOf(await stranger.rpc.getOperation({ name }))).toEqual(
      create(OperationMetadataSchema, { target: "shelves/1", verb: "bind", apiVersion: "v1" }),
    );
  });
});

describe("metadata with fields of the same names", () => {
  it("is kept where number and type are the same, and left alone where they are not", async () => {
    const { operations, rpc, clock } = createBindServer(() => ({}), {
      mend: (operation) => {
        operation.report({ verb: "by hand", createTime: "today", status: ["a", "b"] });
        return {};
      },
    });
    const { name } = await operations.create(MendBook, { name: "books/dune" });
    await rpc.cancelOperation({ name });
    const { metadata } = await rpc.getOperation({ name });
    assert(metadata !== undefined);
    expect(anyUnpack(metadata, OddMetadataSchema)).toEqual(
      create(OddMetadataSchema, { target: "books/dune" }),
    );
    const other = await operations.start(MendBook, { name: "books/emma" });
    await clock.advance(0);
    const reported = (await rpc.getOperation({ name: other.name })).metadata;
    assert(reported !== undefined);
    expect(anyUnpack(reported, OddMetadataSchema)).toEqual(
      create(OddMetadataSchema, {
        target: "books/emma",
        verb: "by hand",
        createTime: "today",
        status: ["a", "b"],
      }),
    );
  });
});
