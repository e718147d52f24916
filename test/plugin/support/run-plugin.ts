import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { plugin } from "../../../src/plugin/plugin.js";
import { run } from "../../consumer/support/run.js";
import type { Files } from "./generate.js";

/** Compile the protos of a folder with a buf.yaml. */
export async function compile(workspace: string): Promise<FileDescriptorSet> {
  const path = join(workspace, "descriptors.binpb");
  await run(workspace, "buf", "build", "--as-file-descriptor-set", "--output", path);
  return fromBinary(FileDescriptorSetSchema, await readFile(path));
}

/** Run the plugin in this process, for one of the files, and give what it generates. */
export function runPlugin(
  descriptors: FileDescriptorSet,
  fileToGenerate: string,
  ...options: string[]
): Files {
  const { file } = plugin.run(
    create(CodeGeneratorRequestSchema, {
      fileToGenerate: [fileToGenerate],
      protoFile: descriptors.file,
      parameter: options.join(),
    }),
  );
  return Object.fromEntries(file.map(({ name, content }) => [name, content]));
}
