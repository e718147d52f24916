import { create, isMessage } from "@bufbuild/protobuf";
import { EmptySchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import { pack } from "../../src/any/index.js";
import {
  type ClientOptions,
  createLongRunningClient,
  createOperationsClient,
  longRunning,
  OperationError,
  type ResumeToken,
  type StartOptions,
} from "../../src/index.js";
import { ErrorInfoSchema, RetryInfoSchema, StatusSchema } from "../../src/protos.js";
import { createManualClock } from "../../src/testing/index.js";
import { PrintRequestSchema, PrintService } from "../gen/printing/v1/printing_pb.js";
import { anOperation } from "../support/an-operation.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import {
  createScriptedServer,
  failed,
  fault,
  running,
  type Script,
  scriptedName,
  succeeded,
} from "../support/scripted-server.js";

/** A method whose request has no request_id. */
const Clean = longRunning(PrintService.method.clean, {
  response: EmptySchema,
  metadata: TimestampSchema,
});

/** A token after a database or a queue. */
const stored = (token: ResumeToken | undefined): ResumeToken => JSON.parse(JSON.stringify(token));

/** The OperationError that a call rejects with. */
async function operationErrorOf(call: Promise<unknown>): Promise<OperationError> {
  const error = await rejectionOf(call);
  assert(error instanceof OperationError);
  return error;
}

/** A scripted server, a client of its method, and the request of each start. */
function startable(script: Script = {}) {
  const server = createScriptedServer(script);
  const startMs = server.clock.nowMs();
  const options: ClientOptions = {
    clock: server.clock,
    mode: "poll",
    poll: { jitter: 0 },
    ...script.options,
  };
  const connect = () => createLongRunningClient({ print: Print }, server.transport, options);
  const starts = () => server.calls.filter(({ method }) => method === "Print");
  const requestIds = () =>
    starts().map(({ request }) => {
      assert(isMessage(request, PrintRequestSchema));
      return request.requestId;
    });
  const startedAt = () => starts().map(({ atMs }) => atMs - startMs);
  return { ...server, connect, printer: connect(), requestIds, startedAt };
}

describe("resuming", () => {
  it("client 14: a wait that timed out is taken up by its error's token, without a second start", async () => {
    const { printer, connect, clock, requestIds } = startable({
      get: [running(0), running(0), succeeded(3)],
    });
    const handle = await printer.print({});
    const timedOut = operationErrorOf(handle.result({ timeoutMs: 2000 }));
    await clock.advance(2000);
    const error = await timedOut;
    expect(error.kind).toBe("timeout");
    const resumed = await connect().print.resume(stored(error.resumeToken));
    expect(await resumed.result()).toMatchObject({
      $typeName: "printing.v1.PrintResponse",
      pages: 3,
    });
    expect(requestIds()).toHaveLength(1);
  });

  it("a process that dies between start and result leaves the rest to another one", async () => {
    const gate = createDeferred<{ pages: number }>();
    let starts = 0;
    const { printer, transport, clock } = createPrintServer(() => gate.promise, {
      method: {
        validate() {
          starts += 1;
        },
      },
    });
    // The data that outlives the first process.
    const file = JSON.stringify((await printer.print({ parent: "printers/7" })).resumeToken);
    const second = createLongRunningClient({ print: Print }, transport, { clock });
    const handle = await second.print.resume(JSON.parse(file));
    const result = handle.result();
    gate.resolve({ pages: 3 });
    await clock.advance(1);
    const { pages } = await result;
    expect([pages, starts]).toEqual([3, 1]);
  });

  it("a process that dies before it has the handle starts anew under its id, and gets the same operation", async () => {
    let works = 0;
    const { printer, transport, clock } = createPrintServer(() => {
      works += 1;
      return { pages: 3 };
    });
    const request = { parent: "printers/7", requestId: "4b0e8a4c-6a3b-4d0c-9e2f-6f2d3c1b0a99" };
    const first = await printer.print(request);
    const second = await createLongRunningClient({ print: Print }, transport, { clock }).print(
      request,
    );
    expect(second.name).toBe(first.name);
    expect(await second.result()).toMatchObject({ pages: 3 });
    expect(works).toBe(1);
  });
});

describe("a resume token", () => {
  it("client 25: made while it runs, leads to the same response", async () => {
    const { printer, connect, clock } = startable({ get: [running(1), succeeded(3)] });
    const token = stored((await printer.print({})).resumeToken);
    const handle = await connect().print.resume(token);
    expect(handle.snapshot).toMatchObject({ kind: "running", metadata: { pagesPrinted: 1 } });
    expect(handle.resumeToken).toEqual(token);
    const result = handle.result();
    await clock.advance(1000);
    expect(await result).toMatchObject({ pages: 3 });
  });

  it("client 25: made after a failure, leads to the same error", async () => {
    const status = create(StatusSchema, {
      code: Code.FailedPrecondition,
      message: "no paper",
      details: [pack(ErrorInfoSchema, { reason: "NO_PAPER" })],
    });
    const end = anOperation({ done: true, result: { case: "error", value: status } });
    const { printer, connect } = startable({ starts: [end], get: [end] });
    const first = await operationErrorOf((await printer.print({})).result());
    const handle = await connect().print.resume(stored(first.resumeToken));
    const second = await operationErrorOf(handle.result());
    expect(second).toMatchObject({
      kind: first.kind,
      code: first.code,
      rawMessage: first.rawMessage,
      resumeToken: first.resumeToken,
    });
    expect(second.findDetails(ErrorInfoSchema)).toEqual(first.findDetails(ErrorInfoSchema));
    expect(second.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "NO_PAPER" }]);
  });

  it("client 25: made after a timeout, leads to the same failure as the one that waits on", async () => {
    const { printer, connect, clock } = startable({
      get: [running(0), running(0), failed(Code.Aborted, "jam")],
    });
    const handle = await printer.print({});
    const timedOut = operationErrorOf(handle.result({ timeoutMs: 1500 }));
    await clock.advance(1500);
    const resumed = await connect().print.resume(stored((await timedOut).resumeToken));
    const [one, other] = [handle, resumed].map((each) => operationErrorOf(each.result()));
    await clock.advance(1000);
    expect(await one).toMatchObject({ kind: "failed", code: Code.Aborted, rawMessage: "jam" });
    expect(await other).toMatchObject({ kind: "failed", code: Code.Aborted, rawMessage: "jam" });
  });

  it("client 25: holds names and the request id, and nothing of the start's headers", async () => {
    const { printer } = startable();
    const headers = { authorization: "Bearer hunter2", "x-goog-request-params": "parent=secret" };
    const { resumeToken } = await printer.print({ requestId: "id-1" }, { headers });
    expect(stored(resumeToken)).toEqual({
      v: 1,
      method: "printing.v1.PrintService/Print",
      response: "printing.v1.PrintResponse",
      metadata: "printing.v1.PrintMetadata",
      name: scriptedName,
      requestId: "id-1",
    });
    expect(JSON.stringify(resumeToken)).not.toMatch(/hunter2|secret/);
  });

  const token: ResumeToken = {
    v: 1,
    method: "printing.v1.PrintService/Print",
    response: "printing.v1.PrintResponse",
    metadata: "printing.v1.PrintMetadata",
    name: scriptedName,
  };

  it.each([
    ["of another service", { ...token, method: "painting.v1.PaintService/Print" }],
    ["of another method", { ...token, method: "printing.v1.PrintService/Clean" }],
    ["of another response type", { ...token, response: "google.protobuf.Empty" }],
    ["of another metadata type", { ...token, metadata: "google.protobuf.Empty" }],
    ["of a later layout", { ...token, v: 2 }],
    ["of no layout", { ...token, v: undefined }],
    ["of a layout that is a string", { ...token, v: "1" }],
    ["without a name", { ...token, name: undefined }],
    ["with an empty name", { ...token, name: "" }],
    ["with a name that is no string", { ...token, name: 7 }],
    ["with a request id that is no string", { ...token, requestId: 7 }],
    ["that is empty", {}],
    ["that is null", null],
    ["that is undefined", undefined],
    ["that is a number", 1],
    ["that is an array", [token]],
  ])("client 25: one %s is refused before anything is asked of the server", async (_, bad) => {
    let calls = 0;
    const { transport } = createScriptedServer({});
    const client = createOperationsClient({
      ...transport,
      unary(...call) {
        calls += 1;
        return transport.unary(...call);
      },
    });
    const error = await operationErrorOf(client.resume(Print, bad as ResumeToken));
    expect(error).toMatchObject({
      kind: "invalid-token",
      code: Code.InvalidArgument,
      polls: 0,
      snapshot: undefined,
      resumeToken: undefined,
    });
    expect(calls).toBe(0);
  });
});

describe("the request id of a start", () => {
  const hint = new ConnectError("", Code.Unavailable, undefined, [
    { desc: RetryInfoSchema, value: { retryDelay: { seconds: 7n } } },
  ]);

  it("is made once for each start, and kept in the token", async () => {
    const { printer, requestIds } = startable();
    const handles = [await printer.print({ pages: 1 }), await printer.print({ pages: 1 })];
    expect(requestIds()[0]).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(new Set(requestIds()).size).toBe(2);
    expect(handles.map(({ resumeToken }) => resumeToken.requestId)).toEqual(requestIds());
  });

  it("is the same for all tries of one start, which come by the pace of polling", async () => {
    const { printer, clock, requestIds, startedAt } = startable({
      starts: [fault(Code.Unavailable), fault(Code.Unavailable), running()],
    });
    const start = printer.print({});
    await clock.advance(60_000);
    const { resumeToken } = await start;
    expect(requestIds()).toHaveLength(3);
    expect(new Set(requestIds())).toEqual(new Set([resumeToken.requestId]));
    expect(startedAt()).toEqual([0, 1000, 2500]);
    expect(clock.scheduled()).toBe(0);
  });

  it("is the caller's own where it gave one, and its message stays as it is", async () => {
    const { printer, clock, requestIds } = startable({ starts: [fault(Code.Unavailable)] });
    const own = create(PrintRequestSchema, { pages: 3, requestId: "id-1" });
    const start = printer.print(own);
    await clock.advance(1000);
    expect((await start).resumeToken.requestId).toBe("id-1");
    expect(requestIds()).toEqual(["id-1", "id-1"]);
    const without = create(PrintRequestSchema, { pages: 3 });
    const init = { pages: 3 };
    await printer.print(without);
    await printer.print(init);
    expect([without.requestId, init]).toEqual(["", { pages: 3 }]);
    expect(own).toEqual(create(PrintRequestSchema, { pages: 3, requestId: "id-1" }));
  });

  it("lets the server say when to try again, for one try", async () => {
    const { printer, clock, startedAt } = startable({
      starts: [hint, fault(Code.Unavailable), running()],
    });
    const start = printer.print({});
    await clock.advance(60_000);
    await start;
    expect(startedAt()).toEqual([0, 7000, 8500]);
  });

  it.each<[string, StartOptions, number]>([
    ["three tries are all by default", {}, 3],
    ["as many as the caller says", { maxTries: 5 }, 5],
    ["one alone, where the caller says so", { maxTries: 1 }, 1],
  ])("%s", async (_, options, tries) => {
    const { printer, clock, requestIds } = startable({
      starts: Array.from({ length: 9 }, () => fault(Code.Unavailable)),
    });
    const start = rejectionOf(printer.print({}, options));
    await clock.advance(60_000);
    expect((await start).code).toBe(Code.Unavailable);
    expect(requestIds()).toHaveLength(tries);
    expect(clock.scheduled()).toBe(0);
  });

  it("throws a RangeError for maxTries below 1", async () => {
    const { printer, requestIds } = startable();
    for (const maxTries of [0, -1, Number.NaN]) {
      await expect(printer.print({}, { maxTries })).rejects.toThrow(RangeError);
    }
    expect(requestIds()).toEqual([]);
  });

  it.each([
    Code.Canceled,
    Code.Unknown,
    Code.DeadlineExceeded,
    Code.ResourceExhausted,
    Code.Aborted,
    Code.Internal,
    Code.AlreadyExists,
  ])("is not sent again after code %i", async (code) => {
    const { printer, clock, requestIds } = startable({ starts: [fault(code)] });
    expect((await rejectionOf(printer.print({}))).code).toBe(code);
    expect([requestIds().length, clock.scheduled()]).toEqual([1, 0]);
  });

  it("is missing from a method without such a field, which is tried once", async () => {
    let starts = 0;
    const answers = [fault(Code.Unavailable), running()];
    const clock = createManualClock();
    const transport = createRouterTransport((router) => {
      router.rpc(PrintService.method.clean, () => {
        const answer = answers[starts] ?? running();
        starts += 1;
        if (answer instanceof ConnectError) throw answer;
        return answer;
      });
    });
    const { clean } = createLongRunningClient({ clean: Clean }, transport, { clock });
    expect((await rejectionOf(clean({}))).code).toBe(Code.Unavailable);
    expect([starts, clock.scheduled()]).toEqual([1, 0]);
    expect((await clean({})).resumeToken).not.toHaveProperty("requestId");
  });

  it("an abort between two tries ends the start at once", async () => {
    const { printer, clock, requestIds } = startable({ starts: [hint] });
    const controller = new AbortController();
    const start = rejectionOf(printer.print({}, { signal: controller.signal }));
    await clock.advance(3000);
    const reason = new Error("page was closed");
    controller.abort(reason);
    expect(await start).toMatchObject({ code: Code.Canceled, cause: reason });
    expect([requestIds().length, clock.scheduled()]).toEqual([1, 0]);
  });
});
