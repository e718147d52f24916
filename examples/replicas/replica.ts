import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "connect-longrunning/node";
import { Operations } from "connect-longrunning/protos";
import { createOperations } from "connect-longrunning/server";
import { connectPostgres } from "connect-longrunning/store/postgres";
import { assertPaths, Compress, metadataFrom } from "../archive/archive-service.js";
import { ArchiveService, type CompressRequest } from "../archive/gen/archive/v1/archive_pb.js";
import { compressInParts } from "./compress-in-parts.js";
import { checkpointBytes, checkpointFrom } from "./part-checkpoint.js";
import type { ReplicaEvent } from "./start-replica.js";

// One replica, to be forked by start-replica.ts: replica.ts DATABASE_URL worker|api
const [connectionString = "", role] = process.argv.slice(2);

/** Pause after each part, in milliseconds: the demo needs work that lasts some seconds. */
const pauseMs = 400;

const notifySafely = (event: ReplicaEvent) => process.send?.(event);

const operations = createOperations({
  ...(await connectPostgres({ connectionString, maxConnections: 5 })),
  // In earnest a secret that all replicas have: they take each other's page tokens then.
  pageTokenKey: new Uint8Array(32),
});

/** Workers run the operations of all replicas; an API replica starts and answers, but runs nothing. */
const compress =
  role === "worker"
    ? operations.handle(
        Compress,
        async (op) => {
          const { name, attempt, request, signal } = op;
          const checkpoint = checkpointFrom(op.checkpoint);
          notifySafely({ kind: "began", name, attempt, filesDone: checkpoint?.filesDone ?? 0 });
          const made = await compressInParts(request.folder, request.archive, {
            workFile: `${request.archive}.${name.replaceAll("/", "-")}.${attempt}.part`,
            checkpoint,
            signal,
            async onPart(reached, progress) {
              op.report(metadataFrom(progress));
              await op.saveCheckpoint(checkpointBytes(reached));
              const { filesDone, filesTotal } = progress;
              notifySafely({ kind: "saved", name, filesDone, filesTotal });
              await sleep(pauseMs, undefined, { signal });
            },
          });
          return {
            ...made,
            archiveBytes: BigInt(made.archiveBytes),
            contentBytes: BigInt(made.contentBytes),
          };
        },
        { validate: assertPaths },
      )
    : (request: CompressRequest) => {
        assertPaths(request);
        return operations.start(Compress, request);
      };

const server = createServer({
  routes: (router) => {
    router.service(ArchiveService, { compress });
    router.service(Operations, operations.service);
  },
  operations,
});
const { url } = await server.listen();
// The parent process has exited, or asks this one to exit.
process.on("disconnect", () => {
  void server.close().finally(() => process.exit());
});
notifySafely({ kind: "listening", url });
