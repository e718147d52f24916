import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { AnySchema, anyPack, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  HelpSchema,
  type Operation,
  OperationSchema,
  RetryInfoSchema,
  StatusSchema,
} from "../../../src/protos.js";
import {
  BackupSchema,
  CreateBackupMetadataSchema,
  RestoreBackupMetadata_Stage,
  RestoreBackupMetadataSchema,
} from "../../gen/backups/v1/backups_pb.js";

const databases = ["orders", "customers", "ledger", "search", "sessions", "catalogue", "mail"];

/** An operation of the test's service, the newest first, of every state and kind. */
export function backupOperation(index: number, nowMs: number): Operation {
  const database = databases[index % databases.length] ?? "";
  const startMs = nowMs - 40_000 - index * 95_000;
  const name = `projects/shop/operations/${uuid7(startMs, index)}`;
  const state =
    index < 5 ? "running" : index % 9 === 5 ? "failed" : index % 14 === 10 ? "cancelled" : "done";
  const endMs = startMs + 30_000 + ((index * 7919) % 90) * 1000 * Math.min(index, 6);
  const result = resultOf(state, database, index);
  const isDone = state !== "running";
  if (index % 4 === 3) {
    const metadata = {
      createTime: timestampFromMs(startMs),
      endTime: isDone ? timestampFromMs(endMs) : undefined,
      backup: `projects/shop/backups/${database}-${index}`,
      progressPercent: isDone ? 100 : 18 + index * 9,
      stage: isDone
        ? RestoreBackupMetadata_Stage.STAGE_UNSPECIFIED
        : RestoreBackupMetadata_Stage.LOADING,
    };
    return operation(
      name,
      anyPack(RestoreBackupMetadataSchema, create(RestoreBackupMetadataSchema, metadata)),
      result,
    );
  }
  const metadata = {
    createTime: timestampFromMs(startMs),
    endTime: isDone ? timestampFromMs(endMs) : undefined,
    database,
    tablesDone: isDone ? (state === "done" ? 48 : 17) : 6 + index * 8,
    tablesTotal: 48,
    statusMessage: isDone
      ? ""
      : `copying ${database}.events_2026_${String(index + 1).padStart(2, "0")}`,
  };
  return operation(
    name,
    anyPack(CreateBackupMetadataSchema, create(CreateBackupMetadataSchema, metadata)),
    result,
  );
}

function operation(
  name: string,
  metadata: Operation["metadata"],
  result: Operation["result"],
): Operation {
  return create(OperationSchema, { name, metadata, done: result.case !== undefined, result });
}

function resultOf(state: string, database: string, index: number): Operation["result"] {
  switch (state) {
    case "running":
      return { case: undefined };
    case "failed":
      return { case: "error", value: create(StatusSchema, backupError(database)) };
    case "cancelled": {
      const value = { code: Code.Canceled, message: "the operation was cancelled" };
      return { case: "error", value: create(StatusSchema, value) };
    }
    default: {
      const backup = create(BackupSchema, {
        name: `projects/shop/backups/${database}-${index}`,
        sizeBytes: BigInt(48_211_000 + index * 91_337),
        checksum: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        tables: ["events", "accounts", "invoices"],
        labels: { env: "production", tier: "gold" },
      });
      return { case: "response", value: anyPack(BackupSchema, backup) };
    }
  }
}

/** An error with details of every kind that the page has a form for. */
export function backupError(database: string): MessageInitShape<typeof StatusSchema> {
  return {
    code: Code.FailedPrecondition,
    message: `the bucket of "${database}" refuses writes`,
    details: [
      anyPack(
        ErrorInfoSchema,
        create(ErrorInfoSchema, {
          reason: "BUCKET_LOCKED",
          domain: "backups.example.com",
          metadata: { bucket: `shop-${database}`, retention: "30d" },
        }),
      ),
      anyPack(
        RetryInfoSchema,
        create(RetryInfoSchema, { retryDelay: { seconds: 900n, nanos: 0 } }),
      ),
      anyPack(
        BadRequestSchema,
        create(BadRequestSchema, {
          fieldViolations: [
            {
              field: "bucket.retention",
              description: "must be shorter than the schedule's period",
            },
            { field: "bucket.region", description: "must be the database's region" },
          ],
        }),
      ),
      anyPack(
        HelpSchema,
        create(HelpSchema, {
          links: [
            { description: "Unlock a bucket", url: "https://backups.example.com/docs/locks" },
          ],
        }),
      ),
      create(AnySchema, {
        typeUrl: "type.example.com/internal.v1.Trace",
        value: new Uint8Array([8, 150, 1, 18, 4, 116, 101, 115, 116]),
      }),
    ],
  };
}

/** A UUIDv7 (RFC 9562, 5.7) of a time and a number. */
function uuid7(ms: number, index: number): string {
  const time = ms.toString(16).padStart(12, "0");
  const rest = (index * 2_654_435_761).toString(16).padStart(12, "0").slice(-12);
  return `${time.slice(0, 8)}-${time.slice(8)}-7a3c-8f21-${rest}`;
}
