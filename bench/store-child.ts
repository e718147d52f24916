import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildForNode } from "./build.js";
import { type Child, startChild } from "./child.js";

/** A process that keeps operations in a memory store, and how to be rid of it. */
export interface StoreChild {
  readonly child: Child;
  close(): Promise<void>;
}

/** Start one, built, as the store's own memory is what is measured. */
export async function startStore(): Promise<StoreChild> {
  const built = await buildForNode(["bench/subjects/stored-operations.ts"], {
    bundle: true,
    packages: "external",
    outExtension: { ".js": ".mjs" },
  });
  const child = await startChild(pathToFileURL(join(built.folder, "stored-operations.mjs")));
  return {
    child,
    async close() {
      await child.stop();
      await built.remove();
    },
  };
}
