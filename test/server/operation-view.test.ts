import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { WireMessage } from "../../src/internal/wire-message.js";
import { ListOperationsResponseSchema, OperationSchema, StatusSchema } from "../../src/protos.js";
import {
  EncodedOperation,
  EncodedOperationList,
  type OperationView,
  operationMessage,
} from "../../src/server/operation-view.js";

const text = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ unit: "grapheme", maxLength: 200 }),
);

const any = fc
  .record({ typeUrl: text, value: fc.uint8Array({ maxLength: 20_000 }) })
  .map((init) => toBinary(AnySchema, create(AnySchema, init)));

const status = fc
  .record({ code: fc.integer({ min: 0, max: 16 }), message: text })
  .map((init) => toBinary(StatusSchema, create(StatusSchema, init)));

const operationView: fc.Arbitrary<OperationView> = fc.record({
  name: text,
  metadata: fc.option(any, { nil: undefined }),
  done: fc.boolean(),
  result: fc.oneof(
    fc.constant(undefined),
    fc.record({ kind: fc.constant("response"), value: any }),
    fc.record({ kind: fc.constant("error"), value: status }),
  ),
});

/** Returns the written bytes, after a check that the bytes around them are untouched. */
function written(message: WireMessage): Uint8Array {
  const around = 3;
  const target = new Uint8Array(message.byteLength + 2 * around).fill(0xee);
  const end = message.writeTo(target, around);
  expect(end).toBe(around + message.byteLength);
  expect(target.subarray(0, around)).toEqual(new Uint8Array(around).fill(0xee));
  expect(target.subarray(end)).toEqual(new Uint8Array(around).fill(0xee));
  return target.slice(around, end);
}

describe("EncodedOperation", () => {
  it("writes the same bytes as Protobuf-ES for the message", () => {
    fc.assert(
      fc.property(operationView, (view) => {
        expect(written(new EncodedOperation(view))).toEqual(
          toBinary(OperationSchema, operationMessage(view)),
        );
      }),
    );
  });
});

describe("EncodedOperationList", () => {
  it("writes the same bytes as Protobuf-ES for the message", () => {
    const token = fc.oneof(fc.constant(""), fc.base64String({ maxLength: 300 }));
    fc.assert(
      fc.property(fc.array(operationView, { maxLength: 8 }), token, (shown, nextPageToken) => {
        const operations = shown.map(operationMessage);
        const message = create(ListOperationsResponseSchema, {
          operations,
          nextPageToken,
        });
        const wire = new EncodedOperationList(
          shown.map((each) => new EncodedOperation(each)),
          nextPageToken,
        );
        expect(written(wire)).toEqual(toBinary(ListOperationsResponseSchema, message));
      }),
    );
  });
});
