import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A path for a database file that is gone when this process ends. */
export function temporaryDatabase(): string {
  const folder = mkdtempSync(join(tmpdir(), "connect-longrunning-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "operations.db");
}
