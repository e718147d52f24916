import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema, DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pack } from "../../src/any/index.js";
import {
  ErrorInfoSchema,
  HelpSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
  StatusSchema,
} from "../../src/protos.js";
import { errorFromStatus, standardDetailsOf, statusFromError } from "../../src/status/index.js";

const errorInfo = { reason: "LOST", domain: "printing.example", metadata: { page: "7" } };

describe("errorFromStatus", () => {
  it("keeps code, message and details", () => {
    const error = errorFromStatus(
      create(StatusSchema, {
        code: 9,
        message: "no paper",
        details: [pack(ErrorInfoSchema, errorInfo)],
      }),
    );
    expect(error).toBeInstanceOf(ConnectError);
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe("no paper");
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([errorInfo]);
  });

  it.each([0, 17, -1, 2 ** 31 - 1])("makes UNKNOWN of code %i, which no error has", (code) => {
    expect(errorFromStatus(create(StatusSchema, { code })).code).toBe(Code.Unknown);
  });
});

describe("statusFromError", () => {
  it("server 82: gives back every Status byte for byte, whatever its details are", () => {
    const detail = fc.record({
      typeUrl: fc.oneof(
        fc.constantFrom("", "/", "a.B", "type.googleapis.com/a.B", "https://x.example/y/a.B"),
        fc.string(),
      ),
      value: fc.uint8Array({ maxLength: 64 }),
    });
    const anyStatus = fc.record({
      code: fc.integer({ min: 1, max: 16 }),
      message: fc.string({ unit: "grapheme" }),
      details: fc.array(detail, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(anyStatus, (init) => {
        const status = create(StatusSchema, {
          ...init,
          details: init.details.map((any) => create(AnySchema, any)),
        });
        const again = statusFromError(errorFromStatus(status));
        expect(toBinary(StatusSchema, again)).toEqual(toBinary(StatusSchema, status));
      }),
    );
  });

  it("packs details that are given as messages or as their fields", () => {
    const fields = { desc: ErrorInfoSchema, value: errorInfo };
    const message = { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, errorInfo) };
    const error = new ConnectError("x", Code.Aborted, undefined, [fields, message]);
    const { details } = statusFromError(error);
    for (const any of details) {
      expect(any.typeUrl).toBe("type.googleapis.com/google.rpc.ErrorInfo");
      const unpacked = fromBinary(ErrorInfoSchema, any.value);
      expect(equals(ErrorInfoSchema, unpacked, create(ErrorInfoSchema, errorInfo))).toBe(true);
    }
    expect(details).toHaveLength(2);
  });

  it("leaves the cause and the headers behind", () => {
    const error = new ConnectError("x", Code.Internal, { secret: "s" }, [], new Error("inner"));
    expect(statusFromError(error)).toEqual(create(StatusSchema, { code: 13, message: "x" }));
  });
});

describe("standardDetailsOf", () => {
  const retryDelay = create(DurationSchema, { seconds: 7n });
  const status = create(StatusSchema, {
    code: 14,
    details: [
      { typeUrl: "type.googleapis.com/elsewhere.v1.Thing", value: Uint8Array.of(255) },
      pack(RetryInfoSchema, { retryDelay }),
      pack(ErrorInfoSchema, errorInfo),
      pack(ErrorInfoSchema, { reason: "SECOND" }),
      { typeUrl: "type.googleapis.com/google.rpc.Help", value: Uint8Array.of(255) },
    ],
  });

  it("reads them by name, from a Status and from an error", () => {
    for (const from of [status, errorFromStatus(status)]) {
      const details = standardDetailsOf(from);
      expect(details.retryInfo?.retryDelay?.seconds).toBe(7n);
      expect(details.errorInfo?.reason).toBe("LOST");
      expect(details.resourceInfo).toBeUndefined();
    }
  });

  it("passes over details that cannot be read, which stay in the error", () => {
    expect(standardDetailsOf(status).help).toBeUndefined();
    expect(errorFromStatus(status).details).toHaveLength(5);
    expect(errorFromStatus(status).findDetails(HelpSchema)).toEqual([]);
    expect(errorFromStatus(status).findDetails(ResourceInfoSchema)).toEqual([]);
  });
});
