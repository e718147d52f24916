import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  bufGenerate,
  createWorkspace,
  goldenOptions,
  goldenProtos,
  pluginFromSources,
  readFiles,
} from "./support/generate.js";

const golden = fileURLToPath(new URL("golden", import.meta.url));
const timeoutMs = 60_000;

let directory: string;
let workspace: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "connect-longrunning-plugin-"));
  workspace = await createWorkspace(directory, goldenProtos);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/**
 * The golden files lie in folders named `gen`, which biome skips. They hold the code of
 * protoc-gen-es as well, so that all is type-checked with the rest of the repository.
 * After a change of the plugin, `vitest run test/plugin/golden.test.ts -u` writes them
 * anew; read the difference before you commit it.
 */
const targets = [
  { target: "ts", out: "ts/gen" },
  { target: "js+dts", out: "js/gen" },
];

describe("under buf, the plugin", { timeout: timeoutMs }, () => {
  it.each(targets)("generates the golden files for target=$target", async ({ target, out }) => {
    const options = [`target=${target}`, ...goldenOptions];
    const generated = await bufGenerate(workspace, out, pluginFromSources, options);
    for (const [path, text] of Object.entries(generated)) {
      await expect(text, path).toMatchFileSnapshot(join(golden, out, path));
    }
    expect(Object.keys(await readFiles(join(golden, out))).sort()).toEqual(
      Object.keys(generated).sort(),
    );
  });
});
