import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { expect } from "vitest";
import { type Operation, OperationSchema } from "../../src/protos.js";
import { PrintMetadataSchema, PrintResponseSchema } from "../gen/printing/v1/printing_pb.js";
import { rejectionOf } from "../support/rejection.js";
import type { RealServer } from "./real-server.js";

/** How an operation ended, as plain data. */
export type Result =
  | { pages: number }
  | { code: number; details: { typeUrl: string; value: Uint8Array }[] };

/** One operation in the model. */
export interface ModelOperation {
  readonly name: string;
  readonly parent: string;
  readonly isExternal: boolean;
  readonly pages: number;
  readonly requestId: string;
  /** Expires as soon as it is done. */
  readonly isEphemeral: boolean;
  attempt: number;
  metadata: number | undefined;
  isCancelRequested: boolean;
  isDeleted: boolean;
  result: Result | undefined;
  /** The done operation at the first read: it never changes (I1). */
  doneBytes: Uint8Array | undefined;
}

/** A client that waits for an operation. */
export interface ModelWaiter {
  readonly operation: ModelOperation;
  answer: Operation | Code | undefined;
}

/** A walk of a list that other commands come in between of. */
export interface ModelWalk {
  readonly parent: string;
  readonly pageSize: number;
  readonly atStart: readonly ModelOperation[];
  readonly seen: string[];
  pageToken: string;
}

/** The expected state of the server, in plain variables. Newest last. */
export interface OperationsModel {
  readonly operations: ModelOperation[];
  readonly waiters: ModelWaiter[];
  walk: ModelWalk | undefined;
}

/** Whether the operation is deleted or expired. A running operation never expires (I10). */
export function isGone(operation: ModelOperation): boolean {
  return operation.isDeleted || (operation.isEphemeral && operation.result !== undefined);
}

/** The operations that a list of this parent shows. */
export function visibleIn(model: OperationsModel, parent: string): ModelOperation[] {
  return model.operations.filter((each) => each.parent === parent && !isGone(each)).reverse();
}

/** Compare every operation and every waiter with the model. */
export async function assertSame(model: OperationsModel, real: RealServer): Promise<void> {
  for (const operation of model.operations) {
    await real.eventually(() => assertSameOperation(operation, real));
  }
  for (const waiter of [...model.waiters]) {
    const { operation } = waiter;
    const { doneBytes, isEphemeral, result } = operation;
    const expected = isGone(operation) ? Code.NotFound : doneBytes;
    await real.eventually(async () => {
      const { answer } = waiter;
      const shown = typeof answer === "object" ? toBinary(OperationSchema, answer) : answer;
      // An operation that expires with its end may be seen done, or not at all.
      if (isEphemeral && result !== undefined) expect(answer).toBeDefined();
      else expect(shown).toEqual(expected);
    });
    // Later changes to the operation do not affect this waiter.
    if (expected !== undefined) model.waiters.splice(model.waiters.indexOf(waiter), 1);
  }
}

async function assertSameOperation(operation: ModelOperation, real: RealServer): Promise<void> {
  const { name } = operation;
  if (isGone(operation)) {
    expect((await rejectionOf(real.rpc.getOperation({ name }))).code).toBe(Code.NotFound);
    return;
  }
  const found = await real.rpc.getOperation({ name });
  expect(found.name).toBe(name);
  expect(found.metadata && anyUnpack(found.metadata, PrintMetadataSchema)?.pagesPrinted).toBe(
    operation.metadata,
  );
  expect(found.done).toBe(operation.result !== undefined);
  expect(resultOf(found)).toEqual(operation.result);
  if (!operation.isExternal && operation.result === undefined) {
    expect(real.attemptsOf(name).map((attempt) => attempt.operation.attempt)).toEqual(
      Array.from({ length: operation.attempt }, (_, at) => at + 1),
    );
  }
  if (!found.done) return;
  operation.doneBytes ??= toBinary(OperationSchema, found);
  expect(toBinary(OperationSchema, found)).toEqual(operation.doneBytes);
}

function resultOf({ result }: Operation): Result | undefined {
  switch (result.case) {
    case "response":
      return { pages: fromBinary(PrintResponseSchema, result.value.value).pages };
    case "error": {
      const { code, details } = result.value;
      // The server may add details of its types; it keeps the work's details whole (I12).
      const foreign = details.filter(({ typeUrl }) => typeUrl.startsWith(foreignPrefix));
      return { code, details: foreign.map(({ typeUrl, value }) => ({ typeUrl, value })) };
    }
    case undefined:
      return undefined;
  }
}

/** Types that no process here knows. */
export const foreignPrefix = "type.googleapis.com/elsewhere.";
