import type { DescFile, DescMethod } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import {
  findMessage,
  fullName,
  isLongRunning,
  operationInfoOf,
} from "../operation/long-running.js";

/**
 * Returns the reasons why a method cannot be declared with `longRunning`, though it returns
 * google.longrunning.Operation or has `operation_info` (AIP-151, AIP-4210). Each
 * reason is one line: the place in the .proto file, the method, and the text to write.
 *
 * @param allFiles The files to search for a type that the method's file does not import.
 */
export function methodFaults(method: DescMethod, allFiles: readonly DescFile[]): string[] {
  return faultsOf(method, allFiles).map(
    (fault) => `${placeOf(method)}: ${fullName(method)} ${fault}`,
  );
}

function faultsOf(method: DescMethod, allFiles: readonly DescFile[]): string[] {
  const names = operationInfoOf(method);
  if (!isLongRunning(method)) {
    if (method.output.typeName === "google.longrunning.Operation") {
      return [
        "streams, but a method that returns google.longrunning.Operation is unary (AIP-151); " +
          "remove the keyword stream",
      ];
    }
    if (names === undefined) return [];
    return [
      `has operation_info but returns ${method.output.typeName}; ` +
        "let it return google.longrunning.Operation, or remove the option",
    ];
  }
  if (names === undefined) {
    return [
      "returns google.longrunning.Operation but has no operation_info (AIP-4210); write: " +
        "option (google.longrunning.operation_info) = " +
        `{ response_type: "${method.name}Response" metadata_type: "${method.name}Metadata" };`,
    ];
  }
  const { file } = method.parent;
  return (["response", "metadata"] as const).flatMap((field) => {
    const name = names[field];
    if (name === "") {
      return [
        `has operation_info without ${field}_type (AIP-4210); name the message that ` +
          `Operation.${field} holds, as in ${field}_type: "${method.name}${capitalized(field)}"`,
      ];
    }
    if (findMessage(file, name) !== undefined) return [];
    return [
      `has operation_info with ${field}_type "${name}", which is not the full name of a message in ` +
        `this file or in one that it imports (AIP-4210); ${remedyFor(name, file, allFiles)}`,
    ];
  });
}

/** Returns the text to write for a type that cannot be found under its name. */
function remedyFor(name: string, file: DescFile, allFiles: readonly DescFile[]): string {
  const home = allFiles.find((other) => findMessage(other, name)?.file === other);
  if (home !== undefined) return `write: import "${home.proto.name}";`;
  // protoc accepts these forms of a type's name, but AIP-4210 does not.
  const absolute = name.replace(/^\./, "");
  const complete = [absolute, `${file.proto.package}.${absolute}`].find((candidate) =>
    findMessage(file, candidate),
  );
  if (complete !== undefined) return `write its full name: "${complete}"`;
  // The name may be the simple name of a nested message.
  const simpleName = absolute.slice(absolute.lastIndexOf(".") + 1);
  for (const each of [file, ...file.dependencies]) {
    for (const type of nestedTypes(each)) {
      if (type.kind !== "message" || type.name !== simpleName) continue;
      return `write its full name: "${type.typeName}"`;
    }
  }
  return (
    "import the file that has it, or correct the name, which must be a full one unless " +
    "the type is in the method's own package"
  );
}

/** `file:line:column`, or the file alone for descriptors that come without their sources. */
function placeOf(method: DescMethod): string {
  const { file } = method.parent;
  // descriptor.proto, SourceCodeInfo: FileDescriptorProto.service = 6,
  // ServiceDescriptorProto.method = 2; a span counts lines and columns from 0.
  const path = [6, file.services.indexOf(method.parent), 2, method.parent.methods.indexOf(method)];
  const location = file.proto.sourceCodeInfo?.location.find(
    (candidate) => candidate.path.join() === path.join(),
  );
  const [line, column] = location?.span ?? [];
  if (line === undefined || column === undefined) return file.proto.name;
  return `${file.proto.name}:${line + 1}:${column + 1}`;
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
