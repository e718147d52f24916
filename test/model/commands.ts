import { type Code, ConnectError, Code as codes } from "@connectrpc/connect";
import fc from "fast-check";
import { expect } from "vitest";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import {
  assertSame,
  foreignPrefix,
  isGone,
  type ModelOperation,
  type OperationsModel,
  type Result,
  visibleIn,
} from "./operations-model.js";
import type { RealServer } from "./real-server.js";

type Command = fc.AsyncCommand<OperationsModel, RealServer>;

/** More attempts than this at one operation end it. */
export const maxLostAttempts = 3;

const parents = ["printers/1", "printers/2"] as const;

/** A command on one of the operations there are; `at` picks which. */
function onOperation(
  text: string,
  at: number,
  run: (operation: ModelOperation, real: RealServer, model: OperationsModel) => Promise<void>,
  isFit: (operation: ModelOperation) => boolean = () => true,
): Command {
  const pick = (model: OperationsModel) => model.operations[at % model.operations.length];
  return {
    check: (model) => {
      const operation = pick(model);
      return operation !== undefined && isFit(operation);
    },
    async run(model, real) {
      const operation = pick(model);
      if (operation === undefined) throw new Error("check has let nothing through");
      await run(operation, real, model);
      await assertSame(model, real);
    },
    toString: () => `${text} #${at}`,
  };
}

async function expectCode(call: Promise<unknown>, code: Code): Promise<void> {
  expect((await rejectionOf(call)).code).toBe(code);
}

interface StartInit {
  readonly isExternal: boolean;
  readonly isEphemeral: boolean;
  readonly parent: string;
  readonly pages: number;
  readonly requestId: string;
}

const startCommand = fc
  .record({
    isExternal: fc.boolean(),
    isEphemeral: fc.boolean(),
    parent: fc.constantFrom(...parents),
    pages: fc.integer({ min: 1, max: 3 }),
    requestId: fc.constantFrom("", "", "one", "two"),
  })
  .map(
    (init): Command => ({
      check: () => true,
      async run(model, real) {
        await start(init, model, real);
        await assertSame(model, real);
      },
      toString: () => `start ${JSON.stringify(init)}`,
    }),
  );

async function start(init: StartInit, model: OperationsModel, real: RealServer): Promise<void> {
  const { isExternal, parent, pages, requestId } = init;
  const request = { parent, pages, requestId };
  const retention = init.isEphemeral && isExternal ? { retentionMs: 0 } : {};
  const call = isExternal
    ? real.operations.create(Print, request, retention)
    : real.printer.print(request);
  const earlier = model.operations.find(
    (each) => requestId !== "" && each.requestId === requestId && each.parent === parent,
  );
  if (earlier !== undefined) {
    // I6: one request id, one operation.
    if (isGone(earlier)) return expectCode(call, codes.FailedPrecondition);
    if (earlier.pages !== pages) return expectCode(call, codes.InvalidArgument);
    expect((await call).name).toBe(earlier.name);
    return;
  }
  const { name, done } = await call;
  expect(done).toBe(false);
  model.operations.push({
    name,
    parent,
    pages,
    isExternal,
    requestId,
    isEphemeral: isExternal && init.isEphemeral,
    attempt: isExternal ? 0 : 1,
    metadata: undefined,
    isCancelRequested: false,
    isDeleted: false,
    result: undefined,
    doneBytes: undefined,
  });
  if (!isExternal) await real.eventually(async () => expectAttempts(real, name, 1));
}

function expectAttempts(real: RealServer, name: string, count: number): void {
  expect(real.attemptsOf(name)).toHaveLength(count);
}

const report = (at: number, pagesPrinted: number) =>
  onOperation(
    `report ${pagesPrinted}`,
    at,
    async (operation, real) => {
      const { name, isExternal } = operation;
      if (!isExternal) {
        real.attemptsOf(name).at(-1)?.operation.report({ pagesPrinted });
        operation.metadata = pagesPrinted;
        return;
      }
      const call = real.operations.report(Print, name, { pagesPrinted });
      if (isGone(operation)) return expectCode(call, codes.NotFound);
      if (operation.result !== undefined) return expectCode(call, codes.FailedPrecondition);
      expect(await call).toEqual({ cancelRequested: operation.isCancelRequested });
      operation.metadata = pagesPrinted;
    },
    (operation) => operation.isExternal || operation.result === undefined,
  );

type How = "response" | "error" | "crash";

const finish = (at: number, how: How) =>
  onOperation(
    `finish by ${how}`,
    at,
    async (operation, real) => {
      const { name, isExternal, isCancelRequested } = operation;
      const error = foreignError(how === "error" ? codes.OutOfRange : codes.Unknown);
      if (!isExternal) {
        const attempt = real.attemptsOf(name).at(-1);
        const thrown = how === "crash" ? new Error("a secret") : error;
        attempt?.end.resolve(how === "response" ? { pages: at } : { error: thrown });
        operation.result = workResult(how, at, isCancelRequested);
        return;
      }
      const call =
        how === "response"
          ? real.operations.succeed(Print, name, { pages: at })
          : real.operations.fail(name, error);
      if (isGone(operation)) return expectCode(call, codes.NotFound);
      if (operation.result !== undefined) return expectCode(call, codes.FailedPrecondition);
      await call;
      operation.result =
        how === "response" ? { pages: at } : { code: error.code, details: [foreignDetail] };
    },
    (operation) => operation.isExternal || operation.result === undefined,
  );

/** I5: work that was asked to stop ends with its own response or with CANCELLED. */
function workResult(how: How, pages: number, isCancelRequested: boolean): Result {
  if (how === "response") return { pages };
  if (isCancelRequested) return { code: codes.Canceled, details: [] };
  return how === "crash"
    ? { code: codes.Unknown, details: [] }
    : { code: codes.OutOfRange, details: [foreignDetail] };
}

/** A detail of an unregistered type, with bytes that are not a message. */
const foreignDetail = {
  typeUrl: `${foreignPrefix}v1.Thing`,
  value: Uint8Array.of(0xff, 0, 0xfe, 0x80),
};

function foreignError(code: Code): ConnectError {
  const error = new ConnectError("no paper", code);
  error.details.push({
    type: foreignDetail.typeUrl.slice("type.googleapis.com/".length),
    value: foreignDetail.value,
  });
  return error;
}

const cancel = (at: number) =>
  onOperation("cancel", at, async (operation, real) => {
    const call = real.rpc.cancelOperation({ name: operation.name });
    if (isGone(operation)) return expectCode(call, codes.NotFound);
    await call;
    if (operation.result !== undefined) return;
    operation.isCancelRequested = true;
    const obeys = !operation.isExternal && operation.pages % 2 === 0;
    if (obeys) operation.result = { code: codes.Canceled, details: [] };
  });

const remove = (at: number) =>
  onOperation("delete", at, async (operation, real) => {
    const call = real.rpc.deleteOperation({ name: operation.name });
    if (isGone(operation)) return expectCode(call, codes.NotFound);
    await call;
    operation.isDeleted = true;
  });

const wait = (at: number) =>
  onOperation("wait", at, async (operation, real, model) => {
    const { name } = operation;
    const waiter: OperationsModel["waiters"][number] = { operation, answer: undefined };
    model.waiters.push(waiter);
    real.rpc.waitOperation({ name, timeout: { seconds: 50n } }).then(
      (answer) => {
        waiter.answer = answer;
      },
      (error: unknown) => {
        waiter.answer = ConnectError.from(error).code;
      },
    );
  });

const look = (at: number) =>
  onOperation("wait for no time", at, async (operation, real) => {
    const call = real.rpc.waitOperation({ name: operation.name, timeout: { seconds: 0n } });
    if (isGone(operation)) return expectCode(call, codes.NotFound);
    // I7: never an error for its own timeout; I8: it sees what was written before.
    expect((await call).done).toBe(operation.result !== undefined);
  });

/** I2, I4: another worker takes over, and writes of the previous worker no longer count. */
const redeliver = (at: number) =>
  onOperation(
    "redeliver",
    at,
    async (operation, real) => {
      const { name } = operation;
      const stale = real.attemptsOf(name).at(-1);
      await real.redeliver?.(name, "printing.v1.PrintService/Print");
      if (operation.attempt === maxLostAttempts) {
        operation.result = { code: codes.Aborted, details: [] };
      } else {
        operation.attempt += 1;
        await real.eventually(async () => expectAttempts(real, name, operation.attempt));
      }
      stale?.end.resolve({ pages: 999 });
    },
    // One that was asked to stop ends at its redelivery, which finish and cancel cover.
    ({ isExternal, result, isCancelRequested }) =>
      !isExternal && result === undefined && !isCancelRequested,
  );

const list = (parent: string, pageSize: number, done: boolean | undefined): Command => ({
  check: () => true,
  async run(model, real) {
    const filter = done === undefined ? "" : `done = ${done}`;
    const expected = visibleIn(model, parent).filter(
      ({ result }) => done === undefined || done === (result !== undefined),
    );
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await real.rpc.listOperations({ name: parent, pageSize, filter, pageToken });
      names.push(...page.operations.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(names).toEqual(expected.map(({ name }) => name));
  },
  toString: () => `list ${parent} by ${pageSize}, done ${done}`,
});

/** I9: an operation that exists during the whole walk is listed exactly once. */
const stepOfWalk = (parent: string, pageSize: number): Command => ({
  check: () => true,
  async run(model, real) {
    model.walk ??= {
      parent,
      pageSize,
      atStart: visibleIn(model, parent),
      seen: [],
      pageToken: "",
    };
    const { walk } = model;
    const page = await real.rpc.listOperations({
      name: walk.parent,
      pageSize: walk.pageSize,
      pageToken: walk.pageToken,
    });
    walk.seen.push(...page.operations.map(({ name }) => name));
    walk.pageToken = page.nextPageToken;
    if (walk.pageToken !== "") return;
    expect(new Set(walk.seen).size).toBe(walk.seen.length);
    const lasting = walk.atStart.filter((operation) => !isGone(operation));
    expect(walk.seen).toEqual(expect.arrayContaining(lasting.map(({ name }) => name)));
    model.walk = undefined;
  },
  toString: () => `step of a walk of ${parent} by ${pageSize}`,
});

/** Any order of commands. @param canRedeliver Whether the subject delivers twice when told. */
export function operationsCommands(canRedeliver: boolean, maxCommands: number) {
  const at = fc.nat({ max: 50 });
  const parent = fc.constantFrom(...parents);
  const pageSize = fc.integer({ min: 1, max: 4 });
  const commands: fc.Arbitrary<Command>[] = [
    startCommand,
    startCommand,
    fc.tuple(at, fc.integer({ min: 1, max: 9 })).map(([which, pages]) => report(which, pages)),
    fc
      .tuple(at, fc.constantFrom<How>("response", "error", "crash"))
      .map(([which, how]) => finish(which, how)),
    at.map(cancel),
    at.map(remove),
    at.map(wait),
    at.map(look),
    fc
      .tuple(parent, pageSize, fc.constantFrom(undefined, true, false))
      .map(([of, by, done]) => list(of, by, done)),
    fc.tuple(parent, pageSize).map(([of, by]) => stepOfWalk(of, by)),
    ...(canRedeliver ? [at.map(redeliver)] : []),
  ];
  return fc.commands(commands, { maxCommands });
}
