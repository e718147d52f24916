import { create } from "@bufbuild/protobuf";
import { AnySchema, DurationSchema, EmptySchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import { pack } from "../../src/any/index.js";
import { outcomeOf } from "../../src/operation/index.js";
import { ErrorInfoSchema, StatusSchema } from "../../src/protos.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { anOperation } from "../support/an-operation.js";

const types = { response: DurationSchema, metadata: TimestampSchema };
const metadata = create(TimestampSchema, { seconds: 1n });
const response = create(DurationSchema, { seconds: 2n });

describe("outcomeOf", () => {
  it("is running until done, with the metadata unpacked", () => {
    const operation = anOperation({ metadata: pack(TimestampSchema, metadata) });
    expect(outcomeOf(operation, types)).toEqual({
      kind: "running",
      metadata,
      metadataError: undefined,
    });
    expect(outcomeOf(anOperation(), types).metadata).toBeUndefined();
  });

  it("has the response of an operation that succeeded", () => {
    const result = { case: "response" as const, value: pack(DurationSchema, response) };
    const outcome = outcomeOf(anOperation({ done: true, result }), types);
    assert(outcome.kind === "succeeded");
    expect(outcome.response).toEqual(response);
  });

  it("carries the server's code and details when the operation failed", () => {
    const unknown = create(AnySchema, { typeUrl: "x/elsewhere.v1.Thing", value: Uint8Array.of(9) });
    const value = create(StatusSchema, {
      code: Code.Aborted,
      message: "lost lease",
      details: [pack(ErrorInfoSchema, { reason: "LOST" }), unknown],
    });
    const outcome = outcomeOf(anOperation({ done: true, result: { case: "error", value } }), types);
    assert(outcome.kind === "failed");
    expect(outcome.error.code).toBe(Code.Aborted);
    expect(outcome.error.rawMessage).toBe("lost lease");
    expect(standardDetailsOf(outcome.error).errorInfo?.reason).toBe("LOST");
    expect(outcome.error.details[1]).toMatchObject({
      type: "elsewhere.v1.Thing",
      value: Uint8Array.of(9),
    });
  });

  it("refuses an operation that is done without a result", () => {
    expect.assertions(2);
    try {
      outcomeOf(anOperation({ done: true }), types);
    } catch (error) {
      assert(error instanceof ConnectError);
      expect(error.code).toBe(Code.Internal);
      expect(standardDetailsOf(error).errorInfo).toMatchObject({
        reason: "MISSING_RESULT",
        metadata: { name: "operations/op-1" },
      });
    }
  });

  it("refuses a response of another type", () => {
    const result = { case: "response" as const, value: pack(EmptySchema, {}) };
    expect(() => outcomeOf(anOperation({ done: true, result }), types)).toThrow(
      "expected a payload of type google.protobuf.Duration",
    );
  });

  it("client 12: metadata of another type does not stand in the way of the result", () => {
    const result = { case: "response" as const, value: pack(DurationSchema, response) };
    const operation = anOperation({ done: true, result, metadata: pack(EmptySchema, {}) });
    const outcome = outcomeOf(operation, types);
    expect(outcome.kind).toBe("succeeded");
    expect(outcome.metadata).toBeUndefined();
    expect(outcome.metadataError?.code).toBe(Code.Internal);
  });
});
