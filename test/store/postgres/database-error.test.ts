import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { describe, it } from "vitest";
import {
  databaseError,
  isRowLevelError,
  sqlState,
} from "../../../src/store/postgres/database-error.js";

/** As Node's sockets and those of `pg` fail where the server closed the connection. */
function brokenPipe(): Error {
  return Object.assign(new Error("write EPIPE"), { code: "EPIPE", errno: -32, syscall: "write" });
}

describe("The error of a connection whose code is as long as a SQLSTATE", () => {
  it("is none of a statement", () => {
    assert.equal(sqlState(brokenPipe()), undefined);
  });

  it("is UNAVAILABLE, so that a client tries again", () => {
    assert.equal(databaseError(brokenPipe()).code, Code.Unavailable);
  });

  it("is not the error of a single row, because the commit may have succeeded", () => {
    assert.equal(isRowLevelError(databaseError(brokenPipe())), false);
  });
});
