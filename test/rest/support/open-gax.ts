import { createRequire } from "node:module";
import { fallback as gax } from "google-gax";
import { operationsHttpRules } from "../../../src/rest/index.js";

/** google-gax's own client of Operations, in its REST mode, and the descriptor that LROperation needs. */
export function openGax(port: number) {
  const require = createRequire(createRequire(import.meta.url).resolve("google-gax"));
  const { PassThroughClient } = require("google-auth-library");
  const root = gax.protobuf.Root.fromJSON(require("../protos/operations.json"));
  const count = (name: string, field: string) =>
    new gax.protobuf.Type(name).add(new gax.protobuf.Field(field, 1, "int32"));
  root.define("printing.v1").add(count("PrintResponse", "pages"));
  root.define("printing.v1").add(count("PrintMetadata", "pagesPrinted"));
  const options = {
    auth: new PassThroughClient(),
    protoJson: root,
    numericEnums: true,
    minifyJson: true,
    httpRules: operationsHttpRules({
      version: "v1alpha",
      parent: "projects/*/locations/*",
    }).flatMap(({ selector, pattern, body }) =>
      pattern?.case === undefined || selector?.endsWith("WaitOperation")
        ? []
        : [{ selector, [pattern.case]: pattern.value, body }],
    ),
  };
  const client = gax.lro(options).operationsClient({
    servicePath: "127.0.0.1",
    port,
    protocol: "http",
  });
  const decoder = (name: string) => {
    const type = root.lookupType(`printing.v1.${name}`);
    return (bytes: Parameters<typeof type.decode>[0]) => type.decode(bytes);
  };
  const descriptor = new gax.LongrunningDescriptor(
    client,
    decoder("PrintResponse"),
    decoder("PrintMetadata"),
  );
  return { client, descriptor, messages: root.lookup("google.longrunning") };
}
