import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { createLongRunningClient } from "../../src/index.js";
import { ResourceInfoSchema } from "../../src/protos.js";
import { createDeferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";
import { plain } from "./plain.js";
import type { World } from "./world.js";

/** A client's action, and the result that it must see over every wire. */
export interface Case {
  /** A sentence that is false if the case fails. */
  readonly title: string;
  observe(world: World): Promise<JsonValue>;
  readonly expected: JsonValue;
  /** The expected result over JSON, if JSON cannot carry `expected`. */
  readonly expectedInJson?: JsonValue;
  /** For a server of Connect's own. Default: `expectedInJson`. */
  readonly expectedInJsonOfConnect?: JsonValue;
  /** For a client of Connect-Web. Default: `expectedInJson`. */
  readonly expectedInJsonByFetch?: JsonValue;
}

const parent = "printers/p";
const nobody = `${parent}/operations/nobody`;

/** Longer than any test runs: an answer that takes it would be a failure. */
export const long = durationFromMs(600_000);

export const cases: readonly Case[] = [
  {
    title: "Get shows a running operation that has no metadata yet",
    async observe({ create, rpc }) {
      return plain(rpc.getOperation({ name: await create() }));
    },
    expected: { name: `${parent}/operations/op-1`, done: false },
  },
  {
    title: "Get shows the metadata of a running operation",
    async observe({ create, operations, rpc }) {
      const name = await create();
      await operations.report(Print, name, { pagesPrinted: 3 });
      return plain(rpc.getOperation({ name }));
    },
    expected: {
      name: `${parent}/operations/op-1`,
      done: false,
      metadata: { "@type": "type.googleapis.com/printing.v1.PrintMetadata", pagesPrinted: 3 },
    },
  },
  {
    title: "Get shows the response of an operation that succeeded",
    async observe({ create, operations, rpc }) {
      const name = await create();
      await operations.report(Print, name, { pagesPrinted: 3 });
      await operations.succeed(Print, name, { pages: 3 });
      return plain(rpc.getOperation({ name }));
    },
    expected: {
      name: `${parent}/operations/op-1`,
      done: true,
      metadata: { "@type": "type.googleapis.com/printing.v1.PrintMetadata", pagesPrinted: 3 },
      response: { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 3 },
    },
  },
  {
    title: "Get shows the error of an operation that failed, details and UTF-8 included",
    async observe({ create, operations, rpc }) {
      const name = await create();
      const resource = { resourceType: "printing.v1.Tray", resourceName: "trays/fächer" };
      const details = [{ desc: ResourceInfoSchema, value: resource }];
      await operations.fail(
        name,
        new ConnectError("kein Papier – 紙がない 🧻", Code.FailedPrecondition, undefined, details),
      );
      return plain(rpc.getOperation({ name }));
    },
    expected: {
      name: `${parent}/operations/op-1`,
      done: true,
      error: {
        code: 9,
        message: "kein Papier – 紙がない 🧻",
        details: [
          {
            "@type": "type.googleapis.com/google.rpc.ResourceInfo",
            resourceType: "printing.v1.Tray",
            resourceName: "trays/fächer",
          },
        ],
      },
    },
  },
  {
    title: "Get passes on a detail of a type that nobody here knows",
    async observe({ create, operations, rpc }) {
      const name = await create();
      const error = new ConnectError("jammed", Code.Aborted);
      // Field 1, the varint 150; then field 3 with two bytes that are not UTF-8.
      const value = Uint8Array.of(0x08, 0x96, 0x01, 0x1a, 0x02, 0xff, 0xfe);
      error.details = [{ type: "paper.v9.Jam", value }];
      await operations.fail(name, error);
      return plain(rpc.getOperation({ name }));
    },
    expected: {
      name: `${parent}/operations/op-1`,
      done: true,
      error: {
        code: 10,
        message: "jammed",
        details: [{ "@type": "type.googleapis.com/paper.v9.Jam", bytes: "0896011a02fffe" }],
      },
    },
    // `createServer` writes the detail, and the client, which lacks the type, says so.
    expectedInJson: {
      code: "InvalidArgument",
      message:
        "cannot decode message google.protobuf.Any from JSON: type.googleapis.com/paper.v9.Jam is not in the type registry",
      details: [],
    },
    // ProtoJSON has no form for an Any whose type the writer does not know.
    expectedInJsonByFetch: {
      code: "Unknown",
      message:
        "cannot decode message google.protobuf.Any from JSON: type.googleapis.com/paper.v9.Jam is not in the type registry",
      details: [],
    },
    expectedInJsonOfConnect: {
      code: "Internal",
      message:
        'cannot encode message google.protobuf.Any to JSON: "type.googleapis.com/paper.v9.Jam" is not in the type registry',
      details: [],
    },
  },
  {
    title: "List goes page by page, newest first",
    async observe({ create, rpc }) {
      await create("printers/other");
      for (let count = 0; count < 3; count += 1) await create();
      const first = await rpc.listOperations({ name: parent, pageSize: 2 });
      const pageToken = first.nextPageToken;
      return [
        await plain(Promise.resolve(first)),
        await plain(rpc.listOperations({ name: parent, pageSize: 2, pageToken })),
        await plain(rpc.listOperations({ name: `${parent}/operations`, pageSize: 1, pageToken })),
      ];
    },
    expected: [
      {
        operations: [
          { name: `${parent}/operations/op-4`, done: false },
          { name: `${parent}/operations/op-3`, done: false },
        ],
        nextPageToken: "TOKEN",
      },
      { operations: [{ name: `${parent}/operations/op-2`, done: false }] },
      { operations: [{ name: `${parent}/operations/op-2`, done: false }] },
    ],
  },
  {
    title: "List shows what its name and its filter let through",
    async observe({ create, operations, rpc }) {
      await create();
      await operations.succeed(Print, await create(), { pages: 1 });
      return [
        await plain(rpc.listOperations({ name: parent, filter: "done = true" })),
        await plain(rpc.listOperations({ name: parent, filter: "done = false" })),
        await plain(rpc.listOperations({ name: "printers/none" })),
      ];
    },
    expected: [
      {
        operations: [
          {
            name: `${parent}/operations/op-2`,
            done: true,
            response: { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 1 },
          },
        ],
      },
      { operations: [{ name: `${parent}/operations/op-1`, done: false }] },
      { operations: [] },
    ],
  },
  {
    title: "Wait answers at once for an operation that is done already",
    async observe({ create, operations, rpc }) {
      const name = await create();
      await operations.succeed(Print, name, { pages: 1 });
      return plain(rpc.waitOperation({ name, timeout: long }));
    },
    expected: {
      name: `${parent}/operations/op-1`,
      done: true,
      response: { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 1 },
    },
  },
  {
    title: "Wait answers when the operation is done",
    async observe({ create, operations, rpc, signals }) {
      const name = await create();
      const waited = plain(rpc.waitOperation({ name, timeout: long }));
      await signals.subscribed(name, 1);
      await operations.succeed(Print, name, { pages: 1 });
      return waited;
    },
    expected: {
      name: `${parent}/operations/op-1`,
      done: true,
      response: { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 1 },
    },
  },
  {
    title: "Wait answers with the latest state when its timeout is over",
    async observe({ create, operations, rpc }) {
      const name = await create();
      await operations.report(Print, name, { pagesPrinted: 3 });
      const wait = (timeout: Duration) => plain(rpc.waitOperation({ name, timeout }));
      return [await wait(durationFromMs(10)), await wait(durationFromMs(0))];
    },
    expected: Array(2).fill({
      name: `${parent}/operations/op-1`,
      done: false,
      metadata: { "@type": "type.googleapis.com/printing.v1.PrintMetadata", pagesPrinted: 3 },
    }),
  },
  {
    title: "Wait ends with NOT_FOUND when the operation is deleted",
    async observe({ create, rpc, signals, hide }) {
      const name = await create();
      hide(name, nobody);
      const waited = plain(rpc.waitOperation({ name, timeout: long }));
      await signals.subscribed(name, 1);
      await rpc.deleteOperation({ name });
      return waited;
    },
    expected: notFound(nobody),
  },
  {
    title: "Cancel ends an operation whose work heeds its signal with error code 1",
    async observe({ printer, rpc, serve }) {
      const running = new Promise<void>((resolve) => {
        serve(async ({ signal, report }) => {
          report({ pagesPrinted: 2 });
          const aborted = new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason), { once: true });
          });
          resolve();
          await aborted;
          return { pages: 2 };
        });
      });
      const { name } = await printer.print({ parent, pages: 5 });
      await running;
      return [
        await plain(rpc.cancelOperation({ name })),
        await plain(rpc.waitOperation({ name, timeout: long })),
      ];
    },
    expected: [
      {},
      {
        name: `${parent}/operations/op-1`,
        done: true,
        metadata: { "@type": "type.googleapis.com/printing.v1.PrintMetadata", pagesPrinted: 2 },
        error: {
          code: 1,
          message: "the operation was cancelled",
          details: [
            {
              "@type": "type.googleapis.com/google.rpc.ErrorInfo",
              reason: "CANCELLED_BY_REQUEST",
              domain: "connect-longrunning",
            },
          ],
        },
      },
    ],
  },
  {
    title: "Cancel is told to whoever drives the operation from outside",
    async observe({ create, operations, rpc }) {
      const name = await create();
      const { cancelRequested: before } = await operations.report(Print, name, {});
      const cancelled = await plain(rpc.cancelOperation({ name }));
      const { cancelRequested: after } = await operations.report(Print, name, {});
      await operations.fail(name, new ConnectError("stopped", Code.Canceled));
      return { before, cancelled, after, operation: await plain(rpc.getOperation({ name })) };
    },
    expected: {
      before: false,
      cancelled: {},
      after: true,
      operation: {
        name: `${parent}/operations/op-1`,
        done: true,
        metadata: { "@type": "type.googleapis.com/printing.v1.PrintMetadata" },
        error: { code: 1, message: "stopped", details: [] },
      },
    },
  },
  {
    title: "Cancel of an operation that is done changes nothing",
    async observe({ create, operations, rpc }) {
      const name = await create();
      await operations.succeed(Print, name, { pages: 1 });
      return [await plain(rpc.cancelOperation({ name })), await plain(rpc.getOperation({ name }))];
    },
    expected: [
      {},
      {
        name: `${parent}/operations/op-1`,
        done: true,
        response: { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 1 },
      },
    ],
  },
  {
    title: "Delete hides an operation from every method",
    async observe({ create, rpc, hide }) {
      const name = await create();
      hide(name, nobody);
      return [
        await plain(rpc.deleteOperation({ name })),
        await plain(rpc.getOperation({ name })),
        await plain(rpc.deleteOperation({ name })),
        await plain(rpc.listOperations({ name: parent })),
      ];
    },
    expected: [{}, notFound(nobody), notFound(nobody), { operations: [] }],
  },
  {
    title: "a start answers with an operation that can be waited for",
    async observe({ printer, rpc, serve }) {
      // The work may begin after the client has the start's response.
      const end = createDeferred<{ pages: number }>();
      serve(({ report }) => {
        report({ pagesPrinted: 2 });
        return end.promise;
      });
      const started = await printer.print({ parent, pages: 2 });
      const { name } = started;
      const waited = plain(rpc.waitOperation({ name, timeout: long }));
      end.resolve({ pages: 2 });
      return [await plain(Promise.resolve(started)), await waited];
    },
    expected: [
      { name: `${parent}/operations/op-1`, done: false },
      {
        name: `${parent}/operations/op-1`,
        done: true,
        metadata: { "@type": "type.googleapis.com/printing.v1.PrintMetadata", pagesPrinted: 2 },
        response: { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 2 },
      },
    ],
  },
  {
    title: "the typed client starts an operation and takes its result",
    async observe({ transport, serve }) {
      serve(async ({ request }) => ({ pages: request.pages }));
      const client = createLongRunningClient({ print: Print }, transport);
      const handle = await client.print({ parent, pages: 4 });
      const { pages } = await handle.result();
      return { name: handle.name, pages };
    },
    expected: { name: `${parent}/operations/op-1`, pages: 4 },
  },
  {
    title: "a start with a request id that came before starts nothing",
    async observe({ printer, rpc }) {
      const requestId = "8b5c2b6e-4f0b-4a52-a0a4-9ad8a1c9d7aa";
      const first = await printer.print({ parent, pages: 1, requestId });
      const again = await printer.print({ parent, pages: 1, requestId });
      const other = plain(printer.print({ parent, pages: 2, requestId }));
      const { operations } = await rpc.listOperations({ name: parent });
      return [first.name, again.name, await other, operations.length];
    },
    expected: [
      `${parent}/operations/op-1`,
      `${parent}/operations/op-1`,
      invalid(
        "request_id",
        "8b5c2b6e-4f0b-4a52-a0a4-9ad8a1c9d7aa",
        "must be new for a request that differs from the one it was first sent with",
        "REQUEST_ID_REUSED",
      ),
      1,
    ],
  },
  {
    title: "a start that the method's validation refuses starts nothing",
    async observe({ printer, rpc }) {
      return [
        await plain(printer.print({ parent, pages: -1 })),
        await plain(rpc.listOperations({ name: parent })),
      ];
    },
    expected: [
      {
        code: "InvalidArgument",
        message: "pages must not be negative",
        details: [
          {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            reason: "NEGATIVE_PAGES",
            domain: "printing.example.com",
          },
          {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            fieldViolations: [{ field: "pages", description: "pages must not be negative" }],
          },
        ],
      },
      { operations: [] },
    ],
  },
  {
    title: "an unknown name is NOT_FOUND",
    async observe({ rpc }) {
      return [
        await plain(rpc.getOperation({ name: nobody })),
        await plain(rpc.waitOperation({ name: nobody, timeout: long })),
        await plain(rpc.cancelOperation({ name: nobody })),
        await plain(rpc.deleteOperation({ name: nobody })),
      ];
    },
    expected: Array(4).fill(notFound(nobody)),
  },
  {
    title: "a malformed name is INVALID_ARGUMENT",
    async observe({ rpc }) {
      return [
        await plain(rpc.getOperation({ name: "" })),
        await plain(rpc.waitOperation({ name: "operations", timeout: long })),
        await plain(rpc.cancelOperation({ name: "printers/p/jobs/1" })),
        await plain(rpc.deleteOperation({ name: "/operations/1" })),
      ];
    },
    expected: ["", "operations", "printers/p/jobs/1", "/operations/1"].map((name) =>
      invalid("name", name, 'must have the form "{parent/}operations/{id}"'),
    ),
  },
  {
    title: "names outside ASCII come back as they were, also in errors",
    async observe({ create, printer, rpc }) {
      const { name } = await printer.print({ parent: "projects/é", pages: 1 });
      return [
        name,
        await plain(rpc.getOperation({ name: await create("projects/日本/printers/🖨") })),
        await plain(rpc.getOperation({ name: "projects/é/operations/日本 🖨%2F" })),
        await plain(rpc.getOperation({ name: "projects/é" })),
      ];
    },
    expected: [
      "projects/é/operations/op-2",
      { name: "projects/日本/printers/🖨/operations/op-1", done: false },
      notFound("projects/é/operations/日本 🖨%2F"),
      invalid("name", "projects/é", 'must have the form "{parent/}operations/{id}"'),
    ],
  },
  {
    title: "an error cuts a long name short, and never within a character",
    async observe({ rpc }) {
      // With a deadline, because an error that cannot be encoded would never be answered.
      const get = (name: string) => plain(rpc.getOperation({ name }, { timeoutMs: 5000 }));
      const answers = [
        // 256 UTF-16 units would end within the last character.
        await get(`operations/${"a".repeat(244)}🖨`),
        await get(`operations/${"日".repeat(337)}`),
        await get(`operations/${"日".repeat(338)}`),
      ];
      return answers.map(({ code, message }) => ({
        code: code ?? null,
        isWellFormed: !/\p{Surrogate}/u.test(String(message)),
        isShort: String(message).length < 500,
      }));
    },
    // 11 bytes and 337 times 3 are within the 1024 that a name may have.
    expected: ["NotFound", "NotFound", "InvalidArgument"].map((code) => ({
      code,
      isWellFormed: true,
      isShort: true,
    })),
  },
  {
    title: "List refuses arguments that it does not understand",
    async observe({ create, rpc, hide }) {
      await create();
      await create();
      const { nextPageToken } = await rpc.listOperations({ name: parent, pageSize: 1 });
      hide(nextPageToken, "token-of-another-list");
      return [
        await plain(rpc.listOperations({ name: "printers//p" })),
        await plain(rpc.listOperations({ name: parent, pageToken: "no token" })),
        await plain(rpc.listOperations({ name: "printers/q", pageToken: nextPageToken })),
        await plain(rpc.listOperations({ name: parent, pageSize: -1 })),
        await plain(rpc.listOperations({ name: parent, filter: 'done = "rot–weiß"' })),
        await plain(rpc.listOperations({ name: parent, returnPartialSuccess: true })),
      ];
    },
    expected: [
      invalid("name", "printers//p", 'must be "{parent}", "{parent}/operations" or empty'),
      ...["no token", "token-of-another-list"].map((token) =>
        invalid(
          "page_token",
          token,
          "must be the next_page_token of the same list, with the same name, filter and caller",
        ),
      ),
      invalid("page_size", "-1", "must not be negative"),
      invalidFilter(
        'done = "rot–weiß"',
        8,
        'done is compared with true or false, and "rot–weiß" is none',
        "FILTER_TYPE_MISMATCH",
      ),
      {
        code: "Unimplemented",
        message: "return_partial_success is not supported",
        details: [
          {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            reason: "PARTIAL_SUCCESS_UNSUPPORTED",
            domain: "connect-longrunning",
            metadata: { field: "return_partial_success" },
          },
        ],
      },
    ],
  },
  {
    title: "Wait refuses a negative timeout",
    async observe({ create, rpc }) {
      const timeout = { seconds: -1n, nanos: 0 };
      return plain(rpc.waitOperation({ name: await create(), timeout }));
    },
    expected: invalid("timeout", "-1s", "must not be negative"),
  },
];

/** The error of a call for an operation that does not exist. */
function notFound(name: string): JsonObject {
  return {
    code: "NotFound",
    message: `operation "${name}" does not exist`,
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "OPERATION_NOT_FOUND",
        domain: "connect-longrunning",
        metadata: { name },
      },
      {
        "@type": "type.googleapis.com/google.rpc.ResourceInfo",
        resourceType: "longrunning.googleapis.com/Operation",
        resourceName: name,
      },
    ],
  };
}

/** The error of a list whose filter is refused. */
function invalidFilter(
  filter: string,
  position: number,
  problem: string,
  reason: string,
): JsonObject {
  const message = `filter, column ${position}: ${problem}`;
  return {
    code: "InvalidArgument",
    message,
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason,
        domain: "connect-longrunning",
        metadata: { field: "filter", value: filter, position: String(position), problem },
      },
      {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        fieldViolations: [{ field: "filter", description: message, reason }],
      },
    ],
  };
}

/** The error of a call with a field that is refused. */
function invalid(
  field: string,
  value: string,
  expected: string,
  reason = "INVALID_FIELD",
): JsonObject {
  const description = `${field} ${expected}, not "${value}"`;
  return {
    code: "InvalidArgument",
    message: description,
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason,
        domain: "connect-longrunning",
        metadata: { field, value },
      },
      {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        fieldViolations: [{ field, description, reason }],
      },
    ],
  };
}
