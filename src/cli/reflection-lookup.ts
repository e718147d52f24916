import {
  create,
  createFileRegistry,
  type DescFile,
  fromBinary,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { createClient, type Transport } from "@connectrpc/connect";
import type { TypeLookup } from "../display/payload-types.js";
import { ServerReflection, type ServerReflectionRequestSchema } from "../protos.js";

/** How long one question to the server takes at most, in milliseconds. */
const questionTimeoutMs = 5000;

/** Most files that are kept of a server. */
const maxFiles = 1000;

type Question = MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"];

/**
 * Look types up by the server's reflection (grpc.reflection.v1), which streams and therefore
 * wants gRPC. A server that has none, or that does not answer, is not asked again: payloads are
 * then shown as bytes.
 */
export function createReflectionLookup(transport: Transport, signal: AbortSignal): TypeLookup {
  const client = createClient(ServerReflection, transport);
  const files = new Map<string, FileDescriptorProto>();
  let isSilent = false;

  /** Keep the files that the server answers with, and give back the first of them. */
  const ask = async (messageRequest: Question): Promise<FileDescriptorProto | undefined> => {
    const questions = async function* () {
      yield { messageRequest };
    };
    const answered = new AbortController();
    // No `timeoutMs`: Connect ends that timer with the stream, and until then it would keep the
    // process alive, though the command has long printed what it has to.
    const timeUp = AbortSignal.timeout(questionTimeoutMs);
    const answers = client.serverReflectionInfo(questions(), {
      signal: AbortSignal.any([signal, answered.signal, timeUp]),
    });
    try {
      for await (const { messageResponse } of answers) {
        if (messageResponse.case !== "fileDescriptorResponse") return undefined;
        const found = messageResponse.value.fileDescriptorProto.map((bytes) =>
          fromBinary(FileDescriptorProtoSchema, bytes),
        );
        for (const file of found) {
          if (files.size < maxFiles && !files.has(file.name)) files.set(file.name, file);
        }
        return found[0];
      }
      return undefined;
    } finally {
      // To stop reading does not end the call.
      answered.abort();
    }
  };

  /** The file and all that it imports, each after its own imports; asks for what is missing. */
  const withImports = async (root: FileDescriptorProto): Promise<FileDescriptorProto[]> => {
    const sorted: FileDescriptorProto[] = [];
    const seen = new Set<string>();
    const visit = async (name: string) => {
      if (seen.has(name)) return;
      seen.add(name);
      if (!files.has(name)) await ask({ case: "fileByFilename", value: name });
      const file = files.get(name);
      if (file === undefined) return;
      for (const dependency of file.dependency) await visit(dependency);
      sorted.push(file);
    };
    await visit(root.name);
    return sorted;
  };

  return async (typeName): Promise<readonly DescFile[]> => {
    if (isSilent) return [];
    try {
      const root = await ask({ case: "fileContainingSymbol", value: typeName });
      if (root === undefined) return [];
      const file = await withImports(root);
      return [...createFileRegistry(create(FileDescriptorSetSchema, { file })).files];
    } catch {
      isSilent = true;
      return [];
    }
  };
}
