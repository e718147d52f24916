import { create } from "@bufbuild/protobuf";
import { type WaitOperationRequest, WaitOperationRequestSchema } from "../../src/protos.js";

/** How long the calls ask to be held, in seconds: longer than any turn lasts. */
export const waitSeconds = 600;

export function waitRequest(name: string): WaitOperationRequest {
  return create(WaitOperationRequestSchema, { name, timeout: { seconds: BigInt(waitSeconds) } });
}
