/** The 1,000 operations that the servers of `rest-list` list, in the order of their names. */

import { create } from "@bufbuild/protobuf";
import { type Operation, OperationSchema } from "../../src/protos.js";
import { operation } from "./operation.js";

export const listParent = "projects/demo/locations/eu";

export const listedOperations: readonly Operation[] = Array.from({ length: 1000 }, (_, index) =>
  create(OperationSchema, {
    ...operation,
    name: `${operation.name.slice(0, -4)}${index.toString(16).padStart(4, "0")}`,
  }),
);
