import { createRegistry } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import {
  ArchiveService,
  CompressMetadataSchema,
  CompressResponseSchema,
  file_archive_v1_archive,
} from "../../../examples/archive/gen/archive/v1/archive_pb.js";
import { longRunning } from "../../../src/index.js";
import { createServer, type ServerOptions } from "../../../src/node/index.js";
import { Operations } from "../../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../../src/rest/index.js";
import { createOperations, type OperationsServer } from "../../../src/server/index.js";

export const Compress = longRunning(ArchiveService.method.compress, {
  response: CompressResponseSchema,
  metadata: CompressMetadataSchema,
});

/** A server whose operations a test drives, in every protocol. */
export interface ArchiveServer {
  readonly url: string;
  readonly operations: OperationsServer;
  /** Start an operation below of `archives/a`, with `filesDone` of four files done. */
  create(filesDone?: number): Promise<string>;
  close(): Promise<void>;
}

export async function startArchiveServer(
  options: Partial<ServerOptions> = {},
): Promise<ArchiveServer> {
  const operations = createOperations();
  const routes = (router: ConnectRouter) => {
    router.service(Operations, operations.service);
    router.service(ArchiveService, { compress: operations.handle(Compress, async () => ({})) });
  };
  const registry = createRegistry(file_archive_v1_archive);
  const rules = operationsHttpRules({ parent: "archives/*" });
  const server = createServer({
    routes,
    handlers: (router) => [createRestHandler(router, { registry, rules })],
    operations,
    ...options,
  });
  const { url } = await server.listen();
  return {
    url,
    operations,
    async create(filesDone = 0) {
      const { name } = await operations.create(Compress, {}, { parent: "archives/a" });
      await operations.report(Compress, name, { filesDone, filesTotal: 4 });
      return name;
    },
    close: () => server.close({ graceMs: 0 }),
  };
}
