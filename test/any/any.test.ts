import { create, createRegistry, type DescMessage } from "@bufbuild/protobuf";
import { AnySchema, DurationSchema, EmptySchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { pack, typeNameOf, unpackAs, unpackWith } from "../../src/any/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { rejectionOf } from "../support/rejection.js";

const duration = create(DurationSchema, { seconds: 3n, nanos: 5 });
const errorOf = (call: () => unknown) => rejectionOf(Promise.resolve().then(call));

describe("pack", () => {
  it("takes a message or its fields, under the usual prefix", () => {
    expect(pack(DurationSchema, { seconds: 3n, nanos: 5 })).toEqual(pack(DurationSchema, duration));
    expect(pack(DurationSchema, duration).typeUrl).toBe(
      "type.googleapis.com/google.protobuf.Duration",
    );
  });
});

describe("pack of another type", () => {
  it("server 4: refuses a message of another type, even one with equal fields", () => {
    const schema: DescMessage = TimestampSchema;
    expect(() => pack(schema, duration)).toThrow(
      "a google.protobuf.Duration cannot be packed as google.protobuf.Timestamp",
    );
  });
});

describe("typeNameOf", () => {
  it.each([
    ["type.googleapis.com/a.b.C", "a.b.C"],
    ["https://example.com/deep/path/a.b.C", "a.b.C"],
    ["/a.b.C", "a.b.C"],
    ["a.b.C", "a.b.C"],
    ["", ""],
  ])("reads the name in %j", (typeUrl, name) => {
    expect(typeNameOf(create(AnySchema, { typeUrl }))).toBe(name);
  });
});

describe("unpackAs", () => {
  it("gives back what was packed, whatever the prefix", () => {
    const any = pack(DurationSchema, duration);
    expect(unpackAs(any, DurationSchema)).toEqual(duration);
    const elsewhere = create(AnySchema, { ...any, typeUrl: "x.example/google.protobuf.Duration" });
    expect(unpackAs(elsewhere, DurationSchema)).toEqual(duration);
  });

  it("never reads the bytes of another type, even if they would decode", async () => {
    // A Timestamp has the same fields as a Duration.
    const error = await errorOf(() => unpackAs(pack(DurationSchema, duration), TimestampSchema));
    expect(error.code).toBe(Code.Internal);
    expect(standardDetailsOf(error).errorInfo).toMatchObject({
      reason: "UNEXPECTED_TYPE",
      domain: "connect-longrunning",
      metadata: {
        expected: "google.protobuf.Timestamp",
        typeUrl: "type.googleapis.com/google.protobuf.Duration",
      },
    });
  });

  it("turns malformed bytes into a typed error that keeps its cause", async () => {
    const any = create(AnySchema, {
      typeUrl: "type.googleapis.com/google.protobuf.Duration",
      value: Uint8Array.of(0x08, 0xff),
    });
    const error = await errorOf(() => unpackAs(any, DurationSchema));
    expect(error.code).toBe(Code.Internal);
    expect(standardDetailsOf(error).errorInfo?.reason).toBe("MALFORMED_PAYLOAD");
    expect(error.cause).toBeInstanceOf(Error);
  });
});

describe("unpackWith", () => {
  const registry = createRegistry(DurationSchema);

  it("unpacks what the registry knows", () => {
    expect(unpackWith(pack(DurationSchema, duration), registry)).toEqual(duration);
  });

  it("says nothing of a type that it does not know", () => {
    expect(unpackWith(pack(EmptySchema, {}), registry)).toBeUndefined();
  });
});
