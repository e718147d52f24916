import assert from "node:assert/strict";
import { create, createRegistry, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StructSchema, UninterpretedOptionSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { createMessageJson } from "../../src/json/message-json.js";
import {
  GetOperationRequestSchema,
  ListOperationsRequestSchema,
  WaitOperationRequestSchema,
} from "../../src/protos.js";
import { receivedMessageOf, requestBytesOf } from "../../src/rest/request-message.js";
import { KindsSchema } from "../gen/kinds/v1/kinds_pb.js";
import { PrintRequestSchema } from "../gen/printing/v1/printing_pb.js";
import { arbitraryMessage } from "../support/arbitrary-message.js";

const registry = createRegistry(StructSchema);
const json = createMessageJson({ registry, unknownAny: "refuse", unknownNames: "refuse" });
const readMaxBytes = 4 * 1024 * 1024;

const types: readonly DescMessage[] = [
  GetOperationRequestSchema,
  ListOperationsRequestSchema,
  WaitOperationRequestSchema,
  PrintRequestSchema,
  KindsSchema,
];

describe("the message that a handler receives without an encoding between", () => {
  it.each(types.map((desc) => [desc.typeName, desc] as const))(
    "is the same as after one for %s, and no larger than said",
    (_, desc) => {
      fc.assert(
        fc.property(arbitraryMessage(desc, { isOpen: false }, 1), (drawn) => {
          const text = JSON.stringify(json.write(desc, drawn));
          const message = json.read(desc, JSON.parse(text));
          const bytes = toBinary(desc, message);
          const received = receivedMessageOf(desc, message, text.length, readMaxBytes);
          assert.deepEqual(received.message, fromBinary(desc, bytes));
          assert.ok(received.maxBytes >= bytes.byteLength);
        }),
        { numRuns: 100 },
      );
    },
  );

  it("has floats of 32 bits", () => {
    const message = create(KindsSchema, { flt: 0.1 });
    const received = receivedMessageOf(KindsSchema, message, 10, readMaxBytes);
    assert.deepEqual(received.message, create(KindsSchema, { flt: Math.fround(0.1) }));
  });

  it("has its exact size where the request may be larger than the limit", () => {
    const message = create(GetOperationRequestSchema, { name: "operations/a" });
    const { maxBytes } = receivedMessageOf(GetOperationRequestSchema, message, 12, 20);
    assert.equal(maxBytes, toBinary(GetOperationRequestSchema, message).byteLength);
  });

  it("is refused if it nests deeper than a decoder permits", () => {
    let proto = create(KindsSchema);
    for (let level = 0; level < 120; level += 1) proto = create(KindsSchema, { nested: proto });
    assert.throws(() => receivedMessageOf(KindsSchema, proto, 10, readMaxBytes), {
      message: /nests too deep/,
    });
  });

  it("is refused without a required field of proto2", () => {
    const without = create(UninterpretedOptionSchema, { name: [{ isExtension: true }] });
    const refusal = { code: Code.InvalidArgument, message: /required field/ };
    assert.throws(() => receivedMessageOf(UninterpretedOptionSchema, without, 10, 100), refusal);
    assert.throws(() => requestBytesOf(UninterpretedOptionSchema, without), refusal);
    const withAll = create(UninterpretedOptionSchema, {
      name: [{ isExtension: true, namePart: "a" }],
    });
    const { message } = receivedMessageOf(UninterpretedOptionSchema, withAll, 10, 100);
    assert.deepEqual(message, withAll);
  });
});
