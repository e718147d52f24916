/** GetOperation as one would write it by hand on node:http: a map, an object, JSON.stringify. */
import { createServer } from "node:http";
import { toJson } from "@bufbuild/protobuf";
import { anyUnpack, StructSchema } from "@bufbuild/protobuf/wkt";
import { runServer } from "../child-side.js";
import { operation } from "./operation.js";

const { name, metadata, done, result } = operation;
if (metadata === undefined || result.case !== "response") throw new Error("not the one expected");
const response = result.value;

const operations = new Map([[name, { name, metadata, done, response }]]);

await runServer(
  createServer((request, answer) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const found = operations.get(decodeURI(pathname.slice("/v1/".length)));
    if (request.method !== "GET" || found === undefined) {
      answer.writeHead(404).end();
      return;
    }
    const body = JSON.stringify({
      name: found.name,
      metadata: payload(found.metadata),
      done: found.done,
      response: payload(found.response),
    });
    answer.writeHead(200, { "content-type": "application/json" }).end(body);
  }),
);

function payload(any: typeof response) {
  const struct = anyUnpack(any, StructSchema);
  return { "@type": any.typeUrl, value: struct && toJson(StructSchema, struct) };
}
