/** ListOperations of 1,000 operations by hand on node:http: JSON.stringify of objects that are there. */
import { createServer } from "node:http";
import { createRegistry, toJson } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { OperationSchema } from "../../src/protos.js";
import { runServer } from "../child-side.js";
import { listedOperations } from "./listed-operations.js";

const registry = createRegistry(StructSchema);
// The service lists the newest first.
const operations = listedOperations
  .map((one) => toJson(OperationSchema, one, { registry }))
  .reverse();

await runServer(
  createServer((_, answer) => {
    const body = JSON.stringify({ operations });
    answer.writeHead(200, { "content-type": "application/json" }).end(body);
  }),
);
