import { create } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import {
  jsonCheckpoint,
  messageCheckpoint,
  type OperationsCall,
  type StartContext,
} from "../../src/server/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { createTestOperations } from "../../src/testing/index.js";
import { OperationMetadataSchema } from "../gen/binding/v1/binding_pb.js";
import { PrintMetadataSchema, PrintRequestSchema } from "../gen/printing/v1/printing_pb.js";
import { createBindServer } from "../support/bind-server.js";
import { createPrintServer, Print, type PrintServerOptions } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const never = () => new Promise<never>(() => undefined);
const as = (user: string) => ({ headers: { "x-user": user } });
const principalOf = ({ context }: OperationsCall) => context.requestHeader.get("x-user") ?? "";

/** A server that takes the principal from a header. */
const createUserServer = (options: PrintServerOptions, work = never) =>
  createPrintServer(work, {
    authorize: (call) => ({ allow: true, principal: principalOf(call) }),
    ...options,
  });

describe("a function of a method's options", () => {
  const optionNames = ["name", "parent", "validate", "resource", "tryNow"] as const;

  it.each(optionNames)("gets the caller's principal, headers and values: %s", async (option) => {
    const seen: unknown[] = [];
    const { printer } = createUserServer({
      method: {
        [option](_: unknown, context: StartContext) {
          seen.push([context.principal, context.requestHeader.get("x-user")]);
          expect({ ...context }.values).toBe(context.values);
          context.responseHeader.set("x-seen", option);
          return { name: "operations/a", parent: "users/ann", resource: "r" }[String(option)];
        },
      },
    });
    let header: string | null = null;
    await printer.print(
      {},
      { ...as("ann"), onHeader: (headers: Headers) => (header = headers.get("x-seen")) },
    );
    expect(seen).toEqual([["ann", "ann"]]);
    expect(header).toBe(option);
  });

  it("gets the caller's principal, headers and values: validateOnly", async () => {
    const seen: string[] = [];
    const { binder } = createBindServer(never, {
      authorize: (call) => ({ allow: true, principal: principalOf(call) }),
      method: {
        validateOnly(_, { principal, requestHeader }) {
          seen.push(principal, requestHeader.get("x-user") ?? "");
          return {};
        },
      },
    });
    await binder.bindBook({ validateOnly: true }, as("ann"));
    expect(seen).toEqual(["ann", "ann"]);
  });

  it("gets the principal for the metadata's target", async () => {
    const { binder, rpc } = createBindServer(never, {
      authorize: (call) => ({ allow: true, principal: principalOf(call) }),
      method: { target: (_, { principal }) => `users/${principal}` },
    });
    const { name } = await binder.bindBook({}, as("ann"));
    const { metadata } = await rpc.getOperation({ name });
    expect(metadata && anyUnpack(metadata, OperationMetadataSchema)?.target).toBe("users/ann");
  });

  it.each(optionNames)("is not called for a caller that `authorize` denies: %s", async (option) => {
    let calls = 0;
    const { printer } = createPrintServer(never, {
      authorize: () => ({ allow: false }),
      method: {
        [option]() {
          calls += 1;
          throw new Error("called");
        },
      },
    });
    const error = await rejectionOf(printer.print({}));
    expect([error.code, calls]).toEqual([Code.PermissionDenied, 0]);
  });

  it.each<[string, NonNullable<PrintServerOptions["method"]>]>([
    ["parent", { parent: () => "shelves/2" }],
    ["name", { name: () => "shelves/2/operations/a" }],
  ])("server 91: cannot lead to a parent that `authorize` denies: %s", async (_, method) => {
    const { printer, rpc } = createPrintServer(never, {
      authorize: ({ action, name }) => ({ allow: action !== "start" || name !== "shelves/2" }),
      method,
    });
    expect((await rejectionOf(printer.print({}))).code).toBe(Code.PermissionDenied);
    expect((await rpc.listOperations({ name: "shelves/2" })).operations).toEqual([]);
  });
});

describe("the authorize hook of a start", () => {
  it("gets the request, which the other calls do not have", async () => {
    const requests: unknown[] = [];
    const { printer, rpc } = createPrintServer(never, {
      authorize({ request }) {
        requests.push(request);
        return { allow: true };
      },
    });
    const { name } = await printer.print({ pages: 2 });
    await rpc.getOperation({ name });
    const { requestId } = Object(requests[0]);
    expect(requests).toEqual([create(PrintRequestSchema, { pages: 2, requestId }), undefined]);
  });
});

describe("the principal of the work", () => {
  it("is the one that authorize named", async () => {
    const principals: string[] = [];
    const { printer, clock } = createPrintServer(
      ({ principal }) => {
        principals.push(principal);
        return {};
      },
      { authorize: (call) => ({ allow: true, principal: principalOf(call) }) },
    );
    await printer.print({}, as("ann"));
    await clock.advance(0);
    expect(principals).toEqual(["ann"]);
  });

  it("is the one of CreateOptions, or else empty", async () => {
    const principals: string[] = [];
    const { operations, clock } = createPrintServer(({ principal }) => {
      principals.push(principal);
      return {};
    });
    await operations.start(Print, {}, { principal: "job" });
    await operations.start(Print, {});
    await clock.advance(0);
    expect(principals).toEqual(["job", ""]);
  });
});

describe("typed checkpoints", () => {
  it("are messages of the method's type", async () => {
    const seen: unknown[] = [];
    const { operations, clock } = createTestOperations((router, operations) => {
      operations.handle(
        Print,
        async ({ checkpoint, attempt, saveCheckpoint, continueLater }) => {
          seen.push(checkpoint?.pagesPrinted);
          if (attempt === 1) {
            await saveCheckpoint(create(PrintMetadataSchema, { pagesPrinted: 3 }));
            return continueLater();
          }
          if (attempt === 2) {
            const next = create(PrintMetadataSchema, { pagesPrinted: 5 });
            return continueLater({ checkpoint: next });
          }
          return {};
        },
        { checkpoint: messageCheckpoint(PrintMetadataSchema) },
      );
      void router;
    });
    await operations.start(Print, {});
    await clock.advance(1);
    expect(seen).toEqual([undefined, 3, 5]);
  });

  it("are JSON values", async () => {
    const seen: unknown[] = [];
    const { operations, clock } = createTestOperations((_, operations) => {
      operations.handle(
        Print,
        ({ checkpoint, continueLater }) => {
          seen.push(checkpoint);
          const page = (checkpoint?.page ?? 0) + 1;
          return page < 3 ? continueLater({ checkpoint: { page } }) : {};
        },
        { checkpoint: jsonCheckpoint<{ page: number }>() },
      );
    });
    await operations.start(Print, {});
    await clock.advance(1);
    expect(seen).toEqual([undefined, { page: 1 }, { page: 2 }]);
  });

  it("are refused with a RangeError above 1 MiB, and with a TypeError if they are not JSON", async () => {
    const errors: unknown[] = [];
    const { operations, clock } = createTestOperations((_, operations) => {
      operations.handle(
        Print,
        async ({ saveCheckpoint }) => {
          for (const value of ["x".repeat(1024 * 1024), Object(undefined).nothing]) {
            await saveCheckpoint(value).catch((error: unknown) => errors.push(error));
          }
          return {};
        },
        { checkpoint: jsonCheckpoint<string>() },
      );
    });
    await operations.start(Print, {});
    await clock.advance(0);
    expect(errors).toEqual([expect.any(RangeError), expect.any(TypeError)]);
  });
});

describe("work that returns no message", () => {
  it.each<[string, unknown, string]>([
    ["undefined", undefined, "returned undefined, not a printing.v1.PrintResponse"],
    ["null", null, "returned null, not a printing.v1.PrintResponse"],
    ["a number", 7, "returned a number, not a printing.v1.PrintResponse"],
    ["text", "done", "returned a string, not a printing.v1.PrintResponse"],
    ["an array", [], "returned an array, not a printing.v1.PrintResponse"],
    [
      "another message",
      create(PrintMetadataSchema),
      "returned a printing.v1.PrintMetadata, not a printing.v1.PrintResponse",
    ],
  ])("ends UNKNOWN, and the log says what it returned: %s", async (_, value, message) => {
    const { operations, client, clock, events } = createPrintServer(() => Object({ value }).value);
    const { name } = await operations.start(Print, {});
    await clock.advance(0);
    const [event] = events;
    expect(event?.kind === "work-failed" && event.cause).toEqual(
      new Error(`the work of printing.v1.PrintService/Print ${message}`),
    );
    expect((await client.get(name)).result.case).toBe("error");
  });
});

describe("a function of a method's options that throws", () => {
  it("fails the start with its own error", async () => {
    const refused = new ConnectError("no", Code.FailedPrecondition);
    const { printer } = createPrintServer(never, {
      method: {
        parent: () => {
          throw refused;
        },
      },
    });
    const error = await rejectionOf(printer.print({}));
    expect([error.code, standardDetailsOf(error).errorInfo]).toEqual([
      Code.FailedPrecondition,
      undefined,
    ]);
  });
});
