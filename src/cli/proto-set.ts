import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { notAProtoSet } from "./errors.js";
import { readBoundedFile } from "./read-bounded-file.js";

/**
 * Reads the types of a binary google.protobuf.FileDescriptorSet, the format of buf and protoc.
 *
 * @throws CommanderError that names the file, if the file cannot be read or is not such a set.
 */
export async function readProtoSet(path: string): Promise<FileRegistry> {
  const bytes = await readBoundedFile(path);
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  } catch (cause) {
    throw notAProtoSet(path, cause instanceof Error ? cause.message : "unknown reason");
  }
}
