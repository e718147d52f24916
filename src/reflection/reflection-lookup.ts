import {
  create,
  createFileRegistry,
  type DescFile,
  type DescService,
  fromBinary,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../protos.js";

/** How long one question to the server takes at most, in milliseconds. */
const questionTimeoutMs = 5000;

/** Most files that are kept of a server. */
const maxFiles = 1000;

type Question = MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"];
type Answer = ServerReflectionResponse["messageResponse"];

/** Finds the descriptors of a server by reflection. */
export interface ReflectionLookup {
  /**
   * Finds the files that declare a type and its imports. Once the server has failed to answer, every
   * type is unknown, so that payloads are shown as bytes.
   */
  lookUp(typeName: string): Promise<readonly DescFile[]>;
  /**
   * Returns the services of the server, in the order in which it lists them.
   *
   * @throws ConnectError of the call, such as UNIMPLEMENTED from a server without reflection.
   */
  services(): Promise<DescService[]>;
}

/**
 * Makes a client of a server's reflection (grpc.reflection.v1), which streams and therefore needs gRPC.
 */
export function createReflectionLookup(
  transport: Transport,
  signal: AbortSignal,
): ReflectionLookup {
  const client = createClient(ServerReflection, transport);
  const files = new Map<string, FileDescriptorProto>();
  let isSilent = false;

  /** Sends one question and returns the first answer. */
  const answerTo = async (messageRequest: Question): Promise<Answer | undefined> => {
    const questions = async function* () {
      yield { messageRequest };
    };
    const answered = new AbortController();
    // `timeoutMs` is not set: Connect would stop that timer only when the stream ends. Until then,
    // the timer would keep the process alive although the command has finished.
    const timeUp = AbortSignal.timeout(questionTimeoutMs);
    const answers = client.serverReflectionInfo(questions(), {
      signal: AbortSignal.any([signal, answered.signal, timeUp]),
    });
    try {
      for await (const { messageResponse } of answers) return messageResponse;
      return undefined;
    } finally {
      // The call continues after the last read, so it is aborted.
      answered.abort();
    }
  };

  /** Keeps the files that the server answers with, and returns the first of them. */
  const ask = async (messageRequest: Question): Promise<FileDescriptorProto | undefined> => {
    const answer = await answerTo(messageRequest);
    if (answer?.case !== "fileDescriptorResponse") return undefined;
    const found = answer.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    for (const file of found) {
      if (files.size < maxFiles && !files.has(file.name)) files.set(file.name, file);
    }
    return found[0];
  };

  /** Returns the file and its imports, each after its own imports, and asks for missing files. */
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

  const lookUp = async (typeName: string): Promise<readonly DescFile[]> => {
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

  return {
    lookUp,
    async services() {
      const answer = await answerTo({ case: "listServices", value: "" });
      if (answer?.case !== "listServicesResponse") return [];
      const roots: FileDescriptorProto[] = [];
      for (const { name } of answer.value.service) {
        const root = await ask({ case: "fileContainingSymbol", value: name });
        if (root !== undefined) roots.push(...(await withImports(root)));
      }
      const file = [...new Map(roots.map((one) => [one.name, one])).values()];
      const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
      return answer.value.service.flatMap(({ name }) => registry.getService(name) ?? []);
    },
  };
}
