import { create, type DescFile, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { truncateForError } from "../internal/truncate-for-error.js";
import {
  file_google_rpc_error_details,
  type ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "../protos.js";
import { createFileIndex, type FileIndex } from "./file-index.js";

/** Options of `createReflection`. */
export interface ReflectionOptions {
  /**
   * Files to serve in addition to the files of the services and their imports: for types that
   * travel in an Any, and for extensions. Default: none.
   */
  files?: readonly DescFile[] | undefined;
}

type Answer = MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"];

/**
 * Makes a reflection service (grpc.reflection.v1). It describes these services to clients without
 * .proto files. If a request has no answer, the response is an ErrorResponse, and the stream
 * continues.
 *
 * @example
 * router.service(ServerReflection, createReflection([PrintService, Operations]));
 */
export function createReflection(
  services: Iterable<DescService>,
  options: ReflectionOptions = {},
): ServiceImpl<typeof ServerReflection> {
  const served = [...services];
  let index: FileIndex | undefined;
  return {
    async *serverReflectionInfo(requests) {
      // Created on the first request, because most servers never receive a reflection request.
      index ??= createFileIndex([
        ...served.map(({ file }) => file),
        // This file has the details of errors, which clients print.
        file_google_rpc_error_details,
        ...(options.files ?? []),
      ]);
      const sent = new Set<string>();
      for await (const request of requests) {
        yield create(ServerReflectionResponseSchema, {
          validHost: request.host,
          originalRequest: request,
          messageResponse: answerTo(request, served, index, sent),
        });
      }
    },
  };
}

function answerTo(
  { messageRequest: question }: ServerReflectionRequest,
  services: readonly DescService[],
  index: FileIndex,
  sent: Set<string>,
): Answer {
  switch (question.case) {
    case "listServices": {
      const names = new Set(services.map(({ typeName }) => typeName));
      const service = [...names].sort().map((name) => ({ name }));
      return { case: "listServicesResponse", value: { service } };
    }
    case "fileByFilename":
      return fileAnswer(index.byName(question.value), `file "${truncateForError(question.value)}"`);
    case "fileContainingSymbol":
      return fileAnswer(
        index.bySymbol(question.value),
        `symbol "${truncateForError(question.value)}"`,
      );
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      const what = `extension ${extensionNumber} of "${truncateForError(containingType)}"`;
      return fileAnswer(index.byExtension(containingType, extensionNumber), what);
    }
    case "allExtensionNumbersOfType": {
      const numbers = index.extensionNumbers(question.value);
      if (numbers === undefined) return notFound(`message "${truncateForError(question.value)}"`);
      const value = { baseTypeName: question.value, extensionNumber: [...numbers] };
      return { case: "allExtensionNumbersResponse", value };
    }
    case undefined:
      return failed(Code.InvalidArgument, "message_request is not set, or unknown here");
  }

  function fileAnswer(file: DescFile | undefined, what: string): Answer {
    if (file === undefined) return notFound(what);
    const fileDescriptorProto = index.withImports(file, sent);
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
  }
}

function notFound(what: string): Answer {
  return failed(Code.NotFound, `there is no ${what} here`);
}

function failed(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
