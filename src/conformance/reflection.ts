import {
  create,
  createFileRegistry,
  type FileRegistry,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { ServerReflectionRequestSchema, ServerReflectionResponseSchema } from "../protos.js";
import { frameBytes, framesOf } from "./wire/envelopes.js";
import type { RawExchange } from "./wire/raw-exchange.js";

/** Most files that are read from a server. */
const maxFiles = 1000;

type Question =
  | { case: "fileContainingSymbol"; value: string }
  | { case: "fileByFilename"; value: string };

/**
 * Returns the files that declare the symbols, with their imports, by grpc.reflection.v1 over
 * gRPC. Undefined if the server has no reflection or does not know a symbol.
 */
export async function reflectFiles(
  baseUrl: string,
  exchange: RawExchange,
  headers: readonly (readonly [string, string])[],
  symbols: readonly string[],
  timeoutMs: number,
): Promise<FileRegistry | undefined> {
  const files = new Map<string, FileDescriptorProto>();
  const ask = async (question: Question): Promise<boolean> => {
    const request = create(ServerReflectionRequestSchema, { messageRequest: question });
    const response = await exchange({
      method: "POST",
      url: `${baseUrl}/grpc.reflection.v1.ServerReflection/ServerReflectionInfo`,
      headers: [["content-type", "application/grpc+proto"], ["te", "trailers"], ...headers],
      body: frameBytes(toBinary(ServerReflectionRequestSchema, request)),
      signal: AbortSignal.timeout(timeoutMs),
      isolated: false,
    });
    const [frame] = framesOf(response.body);
    if (frame === undefined) return false;
    const { messageResponse } = fromBinary(ServerReflectionResponseSchema, frame.data);
    if (messageResponse.case !== "fileDescriptorResponse") return false;
    for (const bytes of messageResponse.value.fileDescriptorProto) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      if (files.size < maxFiles) files.set(file.name, file);
    }
    return true;
  };
  try {
    for (const symbol of symbols) {
      if (!(await ask({ case: "fileContainingSymbol", value: symbol }))) return undefined;
    }
    const sorted: FileDescriptorProto[] = [];
    const seen = new Set<string>();
    const visit = async (name: string): Promise<void> => {
      if (seen.has(name)) return;
      seen.add(name);
      if (!files.has(name)) await ask({ case: "fileByFilename", value: name });
      const file = files.get(name);
      if (file === undefined) return;
      for (const dependency of file.dependency) await visit(dependency);
      sorted.push(file);
    };
    for (const name of [...files.keys()]) await visit(name);
    return createFileRegistry(create(FileDescriptorSetSchema, { file: sorted }));
  } catch {
    return undefined;
  }
}
