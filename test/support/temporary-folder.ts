import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder of one test's own, which is gone afterwards. */
export async function createTemporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "connect-longrunning-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
