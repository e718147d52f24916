import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");

/** The names that an example may use without declaring them. */
const prelude = `
import type { Any } from "@bufbuild/protobuf/wkt";
import type { ConnectError, ConnectRouter, Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import express from "express";
import { it } from "vitest";
import { readFile } from "node:fs/promises";
import * as api from "../../src/index.js";
import * as forConformance from "../../src/conformance/index.js";
import * as forConsole from "../../src/console/index.js";
import * as forHealth from "../../src/health/index.js";
import * as forMcp from "../../src/mcp/index.js";
import * as forNode from "../../src/node/index.js";
import * as forTelemetry from "../../src/opentelemetry/index.js";
import { Health as HealthService, type Operation, Operations, ServerReflection } from "../../src/protos.js";
import * as forReflection from "../../src/reflection/index.js";
import * as forRest from "../../src/rest/index.js";
import * as forServer from "../../src/server/index.js";
import * as forStore from "../../src/store/index.js";
import * as forPostgres from "../../src/store/postgres/index.js";
import * as forSqlite from "../../src/store/sqlite/index.js";
import * as forTesting from "../../src/testing/index.js";
import * as forWeb from "../../src/web/index.js";
import { PrintMetadataSchema, PrintResponseSchema, PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { Print } from "../../test/support/print-server.js";
const {
  createBackoff, createLongRunningClient, createOperationsClient, createTypeRegistry, errorFromStatus, filter,
  longRunning, OperationError, outcomeOf, pack, standardDetailsOf, unpackAs, watchAll,
} = api;
const { conformanceCases, openSubject } = forConformance;
const { createConsole } = forConsole;
const { createHealth } = forHealth;
const { createMcpHandler } = forMcp;
const { createGrpcTransport, createNodeListener, createServer } = forNode;
const { createServerObserver, createTracingObserver, observeCounts } = forTelemetry;
const { createReflection } = forReflection;
const { createRestHandler, createRestTransport, operationsHttpRules } = forRest;
const { createOperations, createShards } = forServer;
const { createInProcessDispatcher, createMemoryStore } = forStore;
const { connectPostgres } = forPostgres;
const { createSqliteStore } = forSqlite;
const { createManualClock, createScriptedOperations, createTestOperations } = forTesting;
const { createProbeHandler, createWebHandler } = forWeb;
declare const transport: Transport;
declare const baseUrl: string;
declare const url: string;
declare const error: ConnectError;
declare const operation: Operation;
declare const metadata: Any;
declare const router: ConnectRouter;
declare const pageTokenKey: Uint8Array;
declare const app: ReturnType<typeof express>;
declare const operations: forServer.OperationsServer;
declare const server: forNode.Server;
declare const health: forHealth.Health;
const { service } = operations;
const work: forServer.Work<typeof Print.method.input, typeof PrintResponseSchema, typeof PrintMetadataSchema> =
  () => ({});
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

const examples = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => join(root, "src", path))
  .flatMap((path) => examplesIn(path).map((example) => ({ path, ...example })));

/** The functions that a reader of the documents meets first. */
const entryFunctions = [
  "connectPostgres createGrpcTransport createHealth createInProcessDispatcher createLongRunningClient",
  "createManualClock createMcpHandler createMemoryStore createNodeListener createOperations",
  "createOperationsClient createReflection createRestHandler createRestTransport createScriptedOperations",
  "createServer createServerObserver createShards createSqliteStore createTestOperations",
  "createTracingObserver createTypeRegistry createWebHandler filter longRunning observeCounts outcomeOf pack",
  "standardDetailsOf unpackAs watchAll",
].flatMap((line) => line.split(" "));

it("every entry function has an example of at most eight lines", () => {
  const shown = examples.map(({ code }) => code).join("\n");
  expect(entryFunctions.filter((name) => !new RegExp(`\\b${name}\\b`).test(shown))).toEqual([]);
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
