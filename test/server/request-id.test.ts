import { create, fromBinary } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../src/protos.js";
import { canonicalBytes } from "../../src/server/request-id.js";

describe("canonicalBytes", () => {
  it("are the same for maps with the same entries, in whatever order", () => {
    const entries = fc.uniqueArray(fc.tuple(fc.string(), fc.string()), {
      selector: ([key]) => key,
    });
    fc.assert(
      fc.property(
        entries.chain((list) =>
          fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
        ),
        ([one, other]) => {
          const bytes = [one, other].map((metadata) =>
            canonicalBytes(
              ErrorInfoSchema,
              create(ErrorInfoSchema, { metadata: Object.fromEntries(metadata) }),
            ),
          );
          expect(bytes[0]).toEqual(bytes[1]);
        },
      ),
    );
  });

  it("reach into lists and into the values of maps, and change nothing", () => {
    const value = (first: string, second: string) => ({
      fields: {
        list: {
          kind: {
            case: "listValue" as const,
            value: {
              values: [
                {
                  kind: {
                    case: "structValue" as const,
                    value: { fields: { [first]: {}, [second]: {} } },
                  },
                },
              ],
            },
          },
        },
      },
    });
    const one = create(StructSchema, value("a", "b"));
    const bytes = canonicalBytes(StructSchema, one);
    expect(bytes).toEqual(canonicalBytes(StructSchema, create(StructSchema, value("b", "a"))));
    expect(fromBinary(StructSchema, bytes)).toEqual(one);
  });

  it("differ for messages that differ", () => {
    const bytes = (reason: string) =>
      canonicalBytes(ErrorInfoSchema, create(ErrorInfoSchema, { reason }));
    expect(bytes("A")).not.toEqual(bytes("B"));
  });
});
