import { create } from "@bufbuild/protobuf";
import { AnySchema, DurationSchema, EmptySchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
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

  it("has the error of an operation that was cancelled", () => {
    const value = create(StatusSchema, { code: 1, message: "stopped" });
    const outcome = outcomeOf(anOperation({ done: true, result: { case: "error", value } }), types);
    assert(outcome.kind === "cancelled");
    expect(outcome.error.rawMessage).toBe("stopped");
  });

  it("server 3: an error of code 0 is a failure of code UNKNOWN", () => {
    const value = create(StatusSchema, { code: 0 });
    const outcome = outcomeOf(anOperation({ done: true, result: { case: "error", value } }), types);
    assert(outcome.kind === "failed");
    expect(outcome.error.code).toBe(Code.Unknown);
  });

  it("pays no heed to a result that comes before the end", () => {
    const result = { case: "response" as const, value: pack(DurationSchema, response) };
    expect(outcomeOf(anOperation({ result }), types).kind).toBe("running");
  });

  it("is malformed when it is done without a result", () => {
    const outcome = outcomeOf(anOperation({ done: true }), types);
    assert(outcome.kind === "malformed");
    expect(outcome.error.code).toBe(Code.Internal);
    expect(standardDetailsOf(outcome.error).errorInfo).toMatchObject({
      reason: "MISSING_RESULT",
      metadata: { name: "operations/op-1" },
    });
  });

  it("has an empty response when it is done without a result, where the caller wants that", () => {
    const options = { onMissingResult: "empty" as const };
    const outcome = outcomeOf(anOperation({ done: true }), types, options);
    assert(outcome.kind === "succeeded");
    expect(outcome.response).toEqual(create(DurationSchema));
  });

  it("is malformed when the response is of another type, or its bytes are broken", () => {
    const broken = create(AnySchema, {
      typeUrl: "x/google.protobuf.Duration",
      value: Uint8Array.of(0xff),
    });
    const reasons = [pack(EmptySchema, {}), broken].map((value) => {
      const result = { case: "response" as const, value };
      const outcome = outcomeOf(anOperation({ done: true, result }), types);
      assert(outcome.kind === "malformed");
      return standardDetailsOf(outcome.error).errorInfo?.reason;
    });
    expect(reasons).toEqual(["UNEXPECTED_TYPE", "MALFORMED_PAYLOAD"]);
  });

  it("client 12: returns the result although the metadata has another type", () => {
    const result = { case: "response" as const, value: pack(DurationSchema, response) };
    const operation = anOperation({ done: true, result, metadata: pack(EmptySchema, {}) });
    const outcome = outcomeOf(operation, types);
    expect(outcome.kind).toBe("succeeded");
    expect(outcome.metadata).toBeUndefined();
    expect(outcome.metadataError?.code).toBe(Code.Internal);
  });
});
