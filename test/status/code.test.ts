import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import {
  codeFromHttpStatus,
  codeFromName,
  codeName,
  httpStatusFromCode,
} from "../../src/status/index.js";

/** google/rpc/code.proto: each code, its name and the HTTP status in its comment. */
const codes: readonly (readonly [Code, string, number])[] = [
  [Code.Canceled, "CANCELLED", 499],
  [Code.Unknown, "UNKNOWN", 500],
  [Code.InvalidArgument, "INVALID_ARGUMENT", 400],
  [Code.DeadlineExceeded, "DEADLINE_EXCEEDED", 504],
  [Code.NotFound, "NOT_FOUND", 404],
  [Code.AlreadyExists, "ALREADY_EXISTS", 409],
  [Code.PermissionDenied, "PERMISSION_DENIED", 403],
  [Code.ResourceExhausted, "RESOURCE_EXHAUSTED", 429],
  [Code.FailedPrecondition, "FAILED_PRECONDITION", 400],
  [Code.Aborted, "ABORTED", 409],
  [Code.OutOfRange, "OUT_OF_RANGE", 400],
  [Code.Unimplemented, "UNIMPLEMENTED", 501],
  [Code.Internal, "INTERNAL", 500],
  [Code.Unavailable, "UNAVAILABLE", 503],
  [Code.DataLoss, "DATA_LOSS", 500],
  [Code.Unauthenticated, "UNAUTHENTICATED", 401],
];

describe("codes", () => {
  it.each(codes)("code %i is %s and HTTP %i", (code, name, httpStatus) => {
    expect(codeName(code)).toBe(name);
    expect(codeFromName(name)).toBe(code);
    expect(httpStatusFromCode(code)).toBe(httpStatus);
  });

  it("knows no other names, and OK is not an error", () => {
    for (const name of ["OK", "Canceled", "CANCELED", "1", "", "toString"]) {
      expect(codeFromName(name)).toBeUndefined();
    }
  });

  it.each([
    [200, undefined],
    [204, undefined],
    [302, Code.Unknown],
    [400, Code.InvalidArgument],
    [401, Code.Unauthenticated],
    [403, Code.PermissionDenied],
    [404, Code.NotFound],
    [409, Code.Aborted],
    [412, Code.FailedPrecondition],
    [416, Code.OutOfRange],
    [418, Code.FailedPrecondition],
    [429, Code.ResourceExhausted],
    [499, Code.Canceled],
    [500, Code.Internal],
    [501, Code.Unimplemented],
    [502, Code.Unavailable],
    [503, Code.Unavailable],
    [504, Code.DeadlineExceeded],
    [599, Code.Internal],
  ])("HTTP %i alone means code %s", (status, code) => {
    expect(codeFromHttpStatus(status)).toBe(code);
  });
});
