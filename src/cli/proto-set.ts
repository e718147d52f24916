import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { notAProtoSet } from "./errors.js";
import { readBoundedFile } from "./read-bounded-file.js";

/**
 * Read the types of a binary google.protobuf.FileDescriptorSet, as buf and protoc write it.
 *
 * @throws CommanderError that names the file, if it cannot be read or is no such set.
 */
export async function readProtoSet(path: string): Promise<FileRegistry> {
  const bytes = await readBoundedFile(path);
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  } catch (cause) {
    throw notAProtoSet(path, cause instanceof Error ? cause.message : "unknown reason");
  }
}
