import { ConnectError } from "@connectrpc/connect";
import { type StandardDetails, standardDetailsOf } from "../../src/status/index.js";

/** The ConnectError that a call rejects with; a call that resolves fails the test. */
export async function rejectionOf(call: Promise<unknown>): Promise<ConnectError> {
  const settled = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("value" in settled) throw new Error("expected a rejection, but the call resolved");
  if (settled.error instanceof ConnectError) return settled.error;
  throw new Error("expected a ConnectError", { cause: settled.error });
}

/** The standard details of the ConnectError that a call rejects with. */
export async function rejectionDetailsOf(call: Promise<unknown>): Promise<StandardDetails> {
  return standardDetailsOf(await rejectionOf(call));
}
