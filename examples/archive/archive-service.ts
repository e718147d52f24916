import type { ConnectRouter } from "@connectrpc/connect";
import { longRunning } from "connect-longrunning";
import { Operations } from "connect-longrunning/protos";
import type { OperationsServer } from "connect-longrunning/server";
import { invalidPath } from "./archive-errors.js";
import { type CompressProgress, compressFolder } from "./compress-folder.js";
import {
  ArchiveService,
  CompressMetadataSchema,
  type CompressRequest,
  CompressResponseSchema,
} from "./gen/archive/v1/archive_pb.js";

/** Compress with its two payload types, as server and client need it. */
export const Compress = longRunning(ArchiveService.method.compress, {
  response: CompressResponseSchema,
  metadata: CompressMetadataSchema,
});

/** Serve the archive service, and google.longrunning.Operations next to it. */
export function addArchiveService(router: ConnectRouter, operations: OperationsServer): void {
  const compress = operations.handle(
    Compress,
    async (operation) => {
      const { folder, archive } = operation.request;
      const made = await compressFolder(folder, archive, {
        signal: operation.signal,
        onProgress: (progress) => operation.report(metadataFrom(progress)),
      });
      return {
        ...made,
        archiveBytes: BigInt(made.archiveBytes),
        contentBytes: BigInt(made.contentBytes),
      };
    },
    { validate: assertPaths },
  );
  router.service(ArchiveService, { compress });
  router.service(Operations, operations.service);
}

/** Says no to the start call itself, where no operation could do anything with the request. */
export function assertPaths({ folder, archive }: CompressRequest): void {
  for (const [field, path] of Object.entries({ folder, archive })) {
    if (path === "") throw invalidPath(field, "must not be empty");
    if (path.includes("\0")) throw invalidPath(field, "must not contain a NUL character");
  }
}

/** Converts progress to the fields of the metadata message. */
export function metadataFrom(progress: CompressProgress) {
  return {
    ...progress,
    bytesDone: BigInt(progress.bytesDone),
    bytesTotal: BigInt(progress.bytesTotal),
  };
}
