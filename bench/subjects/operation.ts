import { create } from "@bufbuild/protobuf";
import { anyPack, StructSchema } from "@bufbuild/protobuf/wkt";
import { type Operation, OperationSchema } from "../../src/protos.js";

/** The Operation that all servers answer with: one that has ended well, of a usual size. */
export const operation: Operation = create(OperationSchema, {
  name: "projects/demo/locations/eu/operations/0199f7a6-4c1e-7b3a-9d52-0c8e5f1a2b3c",
  metadata: anyPack(
    StructSchema,
    create(StructSchema, {
      fields: {
        verb: { kind: { case: "stringValue", value: "compress" } },
        filesDone: { kind: { case: "numberValue", value: 421 } },
        progressPercent: { kind: { case: "numberValue", value: 100 } },
      },
    }),
  ),
  done: true,
  result: {
    case: "response",
    value: anyPack(
      StructSchema,
      create(StructSchema, {
        fields: {
          path: { kind: { case: "stringValue", value: "archives/2025/typescript.tar.zst" } },
          bytes: { kind: { case: "numberValue", value: 4_213_776 } },
        },
      }),
    ),
  },
});
