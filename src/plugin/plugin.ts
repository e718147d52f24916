import type { DescFile } from "@bufbuild/protobuf";
import {
  createEcmaScriptPlugin,
  type GeneratedFile,
  type Schema,
  type Target,
} from "@bufbuild/protoplugin";
import { isLongRunning, longRunning } from "../operation/long-running.js";
import { methodFaults } from "./method-faults.js";
import { printService } from "./print-service.js";
import { uniqueNames } from "./unique-names.js";

/**
 * protoc-gen-connect-longrunning: writes `{path}_longrunning` next to the `{path}_pb` of
 * protoc-gen-es, for every file whose services have long-running methods.
 *
 * Fails, with all faults in one error, if a method returns google.longrunning.Operation
 * and its `operation_info` is missing or names a type that cannot be found (AIP-4210).
 */
export const plugin = createEcmaScriptPlugin({
  name: "protoc-gen-connect-longrunning",
  // This is the package's version. A test compares the two.
  version: "v0.1.0",
  generateTs: generate,
  generateJs: generate,
  generateDts: generate,
});

function generate(schema: Schema, target: Target): void {
  const faults = schema.files
    .flatMap(servicesOf)
    .flatMap((service) => service.methods)
    .flatMap((method) => methodFaults(method, schema.allFiles));
  if (faults.length > 0) throw new Error(faults.join("\n"));

  for (const file of schema.files) {
    const services = servicesOf(file).filter(({ methods }) => methods.some(isLongRunning));
    const f = schema.generateFile(`${file.name}_longrunning.${extensions[target]}`);
    f.preamble(file);
    // The file stays empty, so it is left out unless the option keep_empty_files is set.
    if (services.length === 0) continue;
    const uniqueName = uniqueNames(generatedNames(f, schema, file));
    for (const [index, service] of services.entries()) {
      if (index > 0) f.print();
      const methods = service.methods.filter(isLongRunning).map((method) => longRunning(method));
      printService(f, target, service, methods, uniqueName);
    }
  }
}

const extensions: Record<Target, string> = { ts: "ts", js: "js", dts: "d.ts" };

/**
 * The services of a file, but for google's Operations: its methods return operations
 * that others have started, and have no `operation_info`.
 */
function servicesOf(file: DescFile) {
  return file.services.filter(({ typeName }) => typeName !== "google.longrunning.Operations");
}

/**
 * Yields the names that protoc-gen-es may export from the file's `_pb`, so that a program can
 * import all names of both files.
 */
function* generatedNames(f: GeneratedFile, schema: Schema, file: DescFile): Iterable<string> {
  yield f.importSchema(file).name;
  for (const type of schema.typesInFile(file)) {
    yield f.importSchema(type).name;
    if (type.kind === "message" || type.kind === "enum") {
      yield f.importShape(type).name;
      yield f.importJson(type).name;
    }
    if (type.kind === "message") yield f.importValid(type).name;
  }
}
