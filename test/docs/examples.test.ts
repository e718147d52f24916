import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";

/** The folders whose `@example` blocks must compile. */
const folders = ["client", "operation", "any", "status"];
const root = resolve(import.meta.dirname, "../..");

/** The names that an example may use without declaring them. */
const prelude = `
import { ConnectError, type Transport } from "@connectrpc/connect";
import type { Any } from "@bufbuild/protobuf/wkt";
import { createConnectTransport } from "@connectrpc/connect-web";
import * as api from "../../src/index.js";
import type { Operation } from "../../src/protos.js";
import { PrintMetadataSchema, PrintResponseSchema, PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { Print } from "../../test/support/print-server.js";
const {
  createBackoff, createLongRunningClient, createOperationsClient, createTypeRegistry, errorFromStatus, filter,
  longRunning, OperationError, outcomeOf, pack, standardDetailsOf, unpackAs, watchAll,
} = api;
declare const transport: Transport;
declare const baseUrl: string;
declare const error: ConnectError;
declare const operation: Operation;
declare const metadata: Any;
const client = createLongRunningClient({ print: Print }, transport);
declare const handle: Awaited<ReturnType<typeof client.print>>;
declare const handles: (typeof handle)[];
`;

/** The examples in the doc comments of a file, with their first lines. */
function examplesIn(path: string): { readonly line: number; readonly code: string }[] {
  const source = readFileSync(path, "utf8");
  return Array.from(source.matchAll(/ \* @example\n((?: \*(?: .*)?\n)+?) \*\//g), (match) => ({
    line: source.slice(0, match.index).split("\n").length,
    code: (match[1] ?? "").replace(/^ \* ?/gm, "").trimEnd(),
  }));
}

const examples = folders
  .flatMap((folder) =>
    readdirSync(join(root, "src", folder)).map((file) => join(root, "src", folder, file)),
  )
  .flatMap((path) => examplesIn(path).map((example) => ({ path, ...example })));

it("every entry function has an example of at most eight lines", () => {
  expect(examples.length).toBeGreaterThanOrEqual(12);
  for (const { path, line, code } of examples) {
    expect([path, line, code.split("\n").length <= 8]).toEqual([path, line, true]);
  }
});

it("every example compiles", () => {
  // Below the root, so that the examples find node_modules.
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache/examples-"));
  try {
    for (const [at, { code }] of examples.entries()) {
      const body = `${prelude}\nexport async function example() {\n${code}\n}\n`;
      writeFileSync(join(folder, `example-${at}.ts`), body);
    }
    const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false };
    const config = { extends: "../../tsconfig.json", compilerOptions, include: ["*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const { stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", folder], {
      encoding: "utf8",
    });
    const named = stdout.replace(/\S*example-(\d+)\.ts/g, (_, at: string) => {
      const { path, line } = examples[Number(at)] ?? {};
      return `${path}:${line}`;
    });
    expect(named).toBe("");
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
