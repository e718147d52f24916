import { longRunning } from "../../../src/index.js";
import {
  BackupSchema,
  BackupService,
  CreateBackupMetadataSchema,
} from "../../gen/backups/v1/backups_pb.js";

/** The method whose operations the tests drive. */
export const CreateBackup = longRunning(BackupService.method.createBackup, {
  response: BackupSchema,
  metadata: CreateBackupMetadataSchema,
});
