import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { extract } from "tar";
import { describe, expect, it } from "vitest";
import { compressInParts } from "../../examples/replicas/compress-in-parts.js";
import type { PartCheckpoint } from "../../examples/replicas/part-checkpoint.js";
import { rejectionOf } from "../support/rejection.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";

/** A folder of three parts, and attempts to compress it. */
async function createScene() {
  const directory = await createTemporaryFolder();
  const folder = join(directory, "folder");
  const archive = join(directory, "made.tar.gz");
  await mkdir(folder);
  for (let at = 0; at < 70; at += 1) await writeFile(join(folder, `${at}`), `file ${at}`);
  /** Compress as this attempt; what `onPart` does may stop it. */
  const attempt = (
    number: number,
    checkpoint?: PartCheckpoint,
    onPart?: (reached: PartCheckpoint) => void,
    signal = new AbortController().signal,
  ) =>
    compressInParts(folder, archive, {
      workFile: join(directory, `${number}.part`),
      checkpoint,
      signal,
      onPart: async (reached) => onPart?.(reached),
    });
  return { directory, folder, archive, attempt };
}

/** Make attempt 1 until its second part, from when another has the operation. */
async function lostAttempt({ attempt }: Awaited<ReturnType<typeof createScene>>) {
  const controller = new AbortController();
  const reached: PartCheckpoint[] = [];
  const reason = new ConnectError("taken over", Code.Aborted);
  const onPart = (checkpoint: PartCheckpoint) => {
    reached.push(checkpoint);
    if (reached.length === 2) controller.abort(reason);
  };
  expect(await rejectionOf(attempt(1, undefined, onPart, controller.signal))).toBe(reason);
  const last = reached[1];
  if (last === undefined) throw new Error("it made no two parts");
  return last;
}

describe("compressing in parts", () => {
  it("makes the same archive from a checkpoint as in one go, and one that tar reads", async () => {
    const scene = await createScene();
    const { directory, archive, attempt } = scene;
    const checkpoint = await lostAttempt(scene);
    expect(checkpoint.filesDone).toBe(64);
    // The bytes after the checkpoint come from an attempt that was taken for dead.
    await writeFile(checkpoint.workFile, "late", { flag: "a" });
    const parts: number[] = [];
    const resumed = await attempt(2, checkpoint, ({ filesDone }) => parts.push(filesDone));
    expect(parts).toEqual([70]);
    const atOnce = await attempt(3);
    expect(resumed).toEqual(atOnce);
    const out = join(directory, "out");
    await mkdir(out);
    await extract({ file: archive, cwd: out });
    expect(await readFile(join(out, "69"), "utf8")).toBe("file 69");
    expect((await readdir(directory)).toSorted()).toEqual(["folder", "made.tar.gz", "out"]);
  });

  it.each<[string, (folder: string, checkpoint: PartCheckpoint) => Promise<void>]>([
    ["the folder has changed since", (folder) => writeFile(join(folder, "1"), "another")],
    ["what it had written is cut short", (_, { workFile }) => writeFile(workFile, "x")],
  ])("begins at the beginning where %s", async (_, change) => {
    const scene = await createScene();
    const { folder, attempt } = scene;
    const checkpoint = await lostAttempt(scene);
    await change(folder, checkpoint);
    const parts: number[] = [];
    await attempt(2, checkpoint, ({ filesDone }) => parts.push(filesDone));
    expect(parts).toEqual([32, 64, 70]);
  });

  it("replaces nothing that has the archive's name, and leaves nothing behind", async () => {
    const scene = await createScene();
    const { directory, archive, attempt } = scene;
    await writeFile(archive, "somebody's");
    expect((await rejectionOf(attempt(1))).code).toBe(Code.AlreadyExists);
    expect(await readFile(archive, "utf8")).toBe("somebody's");
    expect((await readdir(directory)).toSorted()).toEqual(["folder", "made.tar.gz"]);
  });

  it("leaves nothing behind when it is cancelled", async () => {
    const scene = await createScene();
    const { directory, attempt } = scene;
    const controller = new AbortController();
    const reason = new ConnectError("cancelled", Code.Canceled);
    const stopped = attempt(1, undefined, () => controller.abort(reason), controller.signal);
    expect(await rejectionOf(stopped)).toBe(reason);
    expect(await readdir(directory)).toEqual(["folder"]);
  });
});
