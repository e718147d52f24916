import { create, type DescFile, type Registry, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { createFileIndex } from "../reflection/file-index.js";
import { createReflectionLookup } from "../reflection/reflection-lookup.js";

/** Finds the descriptors of payloads' types for the page, because a browser cannot call reflection. */
export interface TypeFiles {
  /**
   * Returns a serialized FileDescriptorSet with the file that declares the type and its imports, each
   * file after its imports. The set is empty if no source has the type.
   *
   * @param transport A transport to the server's reflection service; undefined for a server without reflection.
   */
  find(
    typeName: string,
    transport: Transport | undefined,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** @param registry Types that are known without reflection. */
export function createTypeFiles(registry: Registry | undefined): TypeFiles {
  const files = new Set<DescFile>();
  for (const type of registry ?? []) files.add(type.file);
  const index = createFileIndex(files);
  return {
    async find(typeName, transport, signal) {
      const own = index.bySymbol(typeName);
      if (own !== undefined) return setOf(importsFirst(own));
      if (transport === undefined) return setOf([]);
      // Each request gets a new lookup, because a lookup remembers that the server failed.
      return setOf(await createReflectionLookup(transport, signal).lookUp(typeName));
    },
  };
}

function setOf(files: readonly DescFile[]): Uint8Array<ArrayBuffer> {
  const file = files.map(({ proto }) => proto);
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
}

function importsFirst(root: DescFile): DescFile[] {
  const sorted = new Map<string, DescFile>();
  const visit = (file: DescFile) => {
    if (sorted.has(file.proto.name)) return;
    file.dependencies.forEach(visit);
    sorted.set(file.proto.name, file);
  };
  visit(root);
  return [...sorted.values()];
}
