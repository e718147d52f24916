import { create, type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** These files and all their imports, each after its imports, as buf writes them. */
export function protoSetOf(...files: DescFile[]): Uint8Array {
  const sorted = new Set<DescFile>();
  const add = (file: DescFile) => {
    for (const dependency of file.dependencies) add(dependency);
    sorted.add(file);
  };
  for (const file of files) add(file);
  return toBinary(
    FileDescriptorSetSchema,
    create(FileDescriptorSetSchema, { file: [...sorted].map(({ proto }) => proto) }),
  );
}
