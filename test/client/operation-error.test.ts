import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { OperationError } from "../../src/index.js";
import { ErrorInfoSchema } from "../../src/protos.js";

const cause = new ConnectError("no paper", Code.FailedPrecondition, undefined, [
  { desc: ErrorInfoSchema, value: { reason: "NO_PAPER" } },
]);

describe("OperationError", () => {
  const error = new OperationError("failed", cause, {
    operationName: "operations/op-1",
    snapshot: undefined,
    polls: 0,
    consecutiveFailures: 0,
    lastPollError: undefined,
    elapsedMs: 0,
    resumeToken: undefined,
  });

  it("is a ConnectError with the code, message and details of the operation's Status", () => {
    expect(error instanceof ConnectError).toBe(true);
    expect(ConnectError.from(error)).toBe(error);
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe("no paper");
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "NO_PAPER" }]);
  });

  it("differs from every other ConnectError by instanceof", () => {
    expect(error instanceof OperationError).toBe(true);
    expect(cause instanceof OperationError).toBe(false);
    expect(new Error("x") instanceof OperationError).toBe(false);
  });
});
