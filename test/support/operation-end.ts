import type { ConnectError } from "@connectrpc/connect";
import { assert } from "vitest";
import type { Operation } from "../../src/protos.js";
import { errorFromStatus, standardDetailsOf } from "../../src/status/index.js";

/** The error that an operation ended with; one that did not fails the test. */
export function errorOf({ result }: Operation): ConnectError {
  assert(result.case === "error", `it has ${result.case ?? "no result"}`);
  return errorFromStatus(result.value);
}

/** The reason in the error that an operation ended with. */
export function reasonOf(operation: Operation): string | undefined {
  return standardDetailsOf(errorOf(operation)).errorInfo?.reason;
}
